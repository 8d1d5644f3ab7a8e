#define _GNU_SOURCE
#include "counted.h"
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 4096 };

/* What was sent of each kind and what came of it: how many, and the sum of the numbers that they carried. */
static struct counts {
	_Atomic long sent[KINDS], sent_sum[KINDS], came[KINDS], came_sum[KINDS];
	_Atomic long failed;
	_Atomic int pause, paused; /* asked of the child, and done by it */
} *counts;
static struct shared { struct counts counts; _Atomic int tids[MAX_THREADS]; } *shared;
static int thread_count;

/* Real-time signals queue, so none may be missing. A plain one is sent when the one before has come. */
static int number_of(int kind) { return kind == PLAIN ? SIGUSR1 : SIGRTMIN + 8 + kind; }

static void came(int number, siginfo_t *info, void *context)
{
	int kind = number == SIGUSR1 ? PLAIN : number - SIGRTMIN - 8;
	counts->came_sum[kind] += info->si_value.sival_int;
	counts->came[kind]++;
}

static void note(int kind, int value, int error)
{
	if (error) {
		counts->failed++;
		return;
	}
	counts->sent_sum[kind] += value;
	counts->sent[kind]++;
}

static void queue(int kind, pid_t process, pid_t thread, int value)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = value;
	note(kind, value, thread ? syscall(SYS_rt_tgsigqueueinfo, process, thread, number_of(kind), &info)
				 : syscall(SYS_rt_sigqueueinfo, process, number_of(kind), &info));
}

static void nap(long microseconds)
{
	struct timespec time = { 0, microseconds * 1000 };
	nanosleep(&time, NULL);
}

/* The child, which nobody stops: what it sends while its parent stands still is queued. */
static void send_for_ever(pid_t parent)
{
	for (int value = 1;; value++) {
		while (counts->pause && getppid() == parent) {
			counts->paused = 1;
			nap(500);
		}
		counts->paused = 0;
		if (getppid() != parent)
			_exit(0);
		queue(TO_PROCESS, parent, 0, value);
		queue(TO_THREAD, parent, shared->tids[value % thread_count], value);
		if (counts->came[PLAIN] == counts->sent[PLAIN])
			queue(PLAIN, parent, value % 2 ? shared->tids[value % thread_count] : 0, value);
		nap(4000);
	}
}

static void handle(int kind)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = came;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	sigfillset(&action.sa_mask);
	sigaction(number_of(kind), &action, NULL);
}

/* Begins when `threads` threads have called counted_thread. -1 if there can be no child. */
int counted_start(int threads)
{
	thread_count = threads;
	pid_t parent = getpid(), child;
	for (int kind = 0; kind < KINDS; kind++)
		handle(kind);
	child = fork();
	if (child == 0)
		send_for_ever(parent);
	return child;
}

__attribute__((constructor)) static void make(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	counts = &shared->counts;
}

void counted_thread(int index) { shared->tids[index] = syscall(SYS_gettid); }

/* From whichever thread calls it, to that very one. */
void counted_to_itself(void)
{
	static _Atomic int value;
	queue(TO_ITSELF, getpid(), syscall(SYS_gettid), ++value);
}

/* Whether, with the child at rest, all that was sent has come; waits three seconds for it. */
int counted_settled(void)
{
	counts->paused = 0;
	counts->pause = 1;
	for (int turn = 0; turn < 3000; turn++) {
		int same = counts->paused;
		for (int kind = 0; kind < KINDS; kind++)
			same = same && counts->sent[kind] == counts->came[kind] &&
			       counts->sent_sum[kind] == counts->came_sum[kind];
		if (same)
			return 1;
		nap(1000);
	}
	return 0;
}

void counted_go_on(void) { counts->pause = 0; }
long counted_sent(int kind) { return counts->sent[kind]; }
long counted_came(int kind) { return counts->came[kind]; }
long counted_sum(int kind) { return counts->came_sum[kind] - counts->sent_sum[kind]; }
long counted_failed(void) { return counts->failed; }
