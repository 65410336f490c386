// Flush-to-zero and denormals-are-zero: vanishing gradients contain many subnormal numbers, which are slow.
#ifndef FLUSH_H
#define FLUSH_H

unsigned flush_on(void); // for the calling thread; returns the previous setting
void flush_restore(unsigned before);

#endif
