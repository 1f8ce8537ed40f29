/* What an image does wrong. */
#ifndef KINDS_H
#define KINDS_H

enum { FAULT, HANG, RESTART, BABBLE, GARBAGE, SILENT, FAIL, OVERFLOW, LONG, MANY, WRONG };

#endif
