// Subnormals as zero, in results and operands: vanishing gradients are full of them, and they are slow.
#ifndef FLUSH_H
#define FLUSH_H

unsigned flush_on(void); // for this thread; returns what was before
void flush_restore(unsigned before);

#endif
