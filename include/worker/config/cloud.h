/* The clouds in which Microsoft runs Graph. */
#ifndef WORKER_CONFIG_CLOUD_H
#define WORKER_CONFIG_CLOUD_H

/* What is said to those who try it. */
#define CLOUD_NO_CHINA "Microsoft Graph in China (21Vianet) has no API that invites participants"

/* CLOUD(word, Graph, login service): the words of `graph.cloud`, in their order. */
#define CLOUDS(CLOUD)                                                                              \
	CLOUD("global", "https://graph.microsoft.com", "https://login.microsoftonline.com")        \
	CLOUD("usgov-l4", "https://graph.microsoft.us", "https://login.microsoftonline.us")        \
	CLOUD("usgov-dod", "https://dod-graph.microsoft.us", "https://login.microsoftonline.us")

#endif
