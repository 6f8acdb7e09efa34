-- Posts one participant; the environment gives the token.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
wrk.headers["client-request-id"] = "57dab8b1-894c-409a-b240-bd8beae78896"
wrk.body = [[{"participants":[{"@odata.type":"#microsoft.graph.invitationParticipantInfo",]] ..
	[["identity":]] ..
	[[{"@odata.type":"#microsoft.graph.identitySet","user":]] ..
	[[{"@odata.type":"#microsoft.graph.identity",]] ..
	[["id":"278405a3-f568-4b3e-b684-009193463064","displayName":"string"}}}],]] ..
	[["clientContext":"f2fa86af-3c51-4bc2-8fc0-475452d9764f"}]]
