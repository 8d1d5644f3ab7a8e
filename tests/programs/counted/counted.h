enum { TO_PROCESS, TO_THREAD, PLAIN, TO_ITSELF, KINDS };

int counted_start(int threads);
void counted_thread(int index);
void counted_to_itself(void);
int counted_settled(void);
void counted_go_on(void);
long counted_sent(int kind);
long counted_came(int kind);
long counted_failed(void);
long counted_sum(int kind); /* of the numbers that came, less the sum of those sent */
