/* What the Go side calls. */
#include <stddef.h>

void native_allocate(int count, size_t size);
void *native_large(size_t size);
void native_threads(int count, int blocks);
void native_callback_threads(int count);
void native_call_go(int number);
void native_block(void);
void native_wait_blocked(int count);
