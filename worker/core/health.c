/* Whether the service is well: see health.h. */
#include "worker/core/health.h"

static bool is_success(int http_status)
{
	return http_status >= 200 && http_status < 300;
}

enum health health_of(const struct answer *answer, const struct outcome *outcome)
{
	switch (answer->progress) {
	case ANSWER_NO_TOKEN:
		return HEALTH_NONE;
	case ANSWER_NOT_SENT:
		return answer->is_withheld ? HEALTH_NONE : HEALTH_ILL;
	case ANSWER_BROKEN:
		return HEALTH_ILL;
	case ANSWER_COMPLETE:
		break;
	}
	/* A success that names no operation is unknown, and no sign of illness. */
	return outcome->class == OUTCOME_UNKNOWN && !is_success(answer->http_status) ? HEALTH_ILL
	                                                                             : HEALTH_WELL;
}
