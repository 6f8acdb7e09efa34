/* Withdrawing a command that has not left.
 *
 * A cancel names a command of its call that came before it. What of that command is not sent, and
 * not on its way, is never sent; what is on its way is judged by its answer, and what is in doubt
 * by evidence. The cancel's own reply comes behind that of the command, and says whether something
 * of it was withdrawn. A cancel that is read again after a crash finds its command either as it was
 * or with its reply: then it is too late for it, even if that reply says that it was withdrawn. */
#ifndef WORKER_CORE_CANCEL_H
#define WORKER_CORE_CANCEL_H

#include "worker/core/state.h"

/* 'job' is a cancel: do what it says. */
void cancel_command(struct engine *e, struct partition *p, struct job *job);

/* A queued job may have been withdrawn while it was on its way, or in doubt: decide what of it is
 * new again. */
void cancel_rest(struct engine *e, struct job *job);

#endif
