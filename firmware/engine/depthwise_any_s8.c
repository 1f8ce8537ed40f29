/* int8 depthwise convolution of any number of channels, each with any number of outputs. */
#include "dsp.h"

#ifndef __ARM_ARCH_6M__ /* depthwise_m0.c */
#define DEPTHWISE hil_depthwise_any_s8
#define LOAD_WEIGHTS(weights, index) load4((weights) + (index))
#include "depthwise_any_s8.h"
#endif
