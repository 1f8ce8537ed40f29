/* What the chips of the family have alike. */
#ifndef STM32L4_H
#define STM32L4_H

#include "cortex_m.h"

/* Chapter RCC. */
#define RCC_APB1ENR1 REG(0x40021058u)
#define APB1ENR1_TIM2 1u

/* Chapter "Memory organization". */
#define GPIOA 0x48000000u
#define GPIOB 0x48000400u
#define GPIOF 0x48001400u
#define GPIOG 0x48001800u

#endif
