/* How much the agent keeps, which a board of 2 KB has to keep small. */
#ifndef HIL_LIMITS_H
#define HIL_LIMITS_H

#ifdef __AVR__
#define HIL_MOST_INFERENCES 16u /* of a RUN */
#define HIL_MAX_LAYERS 16u
#define HIL_SENT_AT_ONCE 16u
#define HIL_MOST_RECEIVED 64u /* in a payload: what USB interfaces of one chip can hold */
#define HIL_STREAMS 0 /* no RAM to spare */
#else
#define HIL_MOST_INFERENCES 128u
#define HIL_MAX_LAYERS 128u
#define HIL_SENT_AT_ONCE 256u
#define HIL_MOST_RECEIVED 65531u
#define HIL_STREAMS 1
#endif

#endif
