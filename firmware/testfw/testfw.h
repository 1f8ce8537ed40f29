/* Registers and helpers of the test images. */
#ifndef TESTFW_H
#define TESTFW_H
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define ICSR REG(0xE000ED04)
#define VTOR REG(0xE000ED08)
#define AIRCR REG(0xE000ED0C)
#define SHCSR REG(0xE000ED24)
#define CFSR REG(0xE000ED28)
#define HFSR REG(0xE000ED2C)
#define BFAR REG(0xE000ED38)
#define CPACR REG(0xE000ED88)
#define DEMCR REG(0xE000EDFC)
#define DWT_CTRL REG(0xE0001000)
#define CYCCNT REG(0xE0001004)
#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)
#define SYST_CVR REG(0xE000E018)
#define NVIC_ISER0 REG(0xE000E100)
#define NVIC_ICPR0 REG(0xE000E280)

#define UARTE 0x40002000u
#define TIMER0 0x40008000u
#define RNG 0x4000D000u

#define FAULT_MAGIC 0xfa017e57u
struct fault_record {
    uint32_t magic, exception, exc_return, pc, r0, psr, cfsr, hfsr, bfar;
};
extern struct fault_record fault_record;

void test_main(void);
#endif
