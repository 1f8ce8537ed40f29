/* What pyOCD runs on an STM32L4R5 to write its flash, in the organisation of two banks (DBANK = 1). Register names are those of
 * the reference manual RM0432, chapter FLASH. `make -C firmware/flash` builds harness/boards/targets/stm32l4r5.elf of it.
 *
 * Every function returns 0, or the errors that FLASH_SR tells; WRONG_CHIP if the option bytes make the flash something else.
 * pyOCD calls them with `lr` at the first halfword, which halts the core again. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define FLASH_BEGIN 0x08000000u
#define PAGE_SHIFT 12u /* 4 KB */

#define ACR REG(0x40022000u)
#define ACR_PREFETCH_AND_CACHES (7u << 8) /* PRFTEN, ICEN, DCEN */
#define ACR_CACHE_RESETS (3u << 11)       /* ICRST, DCRST: only while the caches are off */
#define KEYR REG(0x40022008u)
#define SR REG(0x40022010u)
#define SR_ERRORS 0x43FAu  /* OPERR to FASTERR, and RDERR */
#define SR_OPTVERR 0x8000u /* may be set since power-on; no matter of these functions, and it would keep PG from working */
#define SR_BSY (1u << 16)
#define CR REG(0x40022014u)
#define CR_PG (1u << 0)
#define CR_PER (1u << 1)
#define CR_BOTH_BANKS (1u << 2 | 1u << 15) /* MER1, MER2 */
#define CR_PAGE_SHIFT 3u                   /* PNB, and BKER above it: together the number of the page in both banks */
#define CR_START (1u << 16)
#define CR_LOCK (1u << 31)
#define OPTR REG(0x40022020u)
#define OPTR_DBANK (1u << 22)
#define WRONG_CHIP 0x80000000u

#define ERASED 0xFFFFFFFFu

__attribute__((naked, used, section(".return"))) void stopped(void)
{
    __asm volatile("bkpt #0");
}

static uint32_t finished(void)
{
    while ((SR & SR_BSY) != 0) {
    }
    CR = 0;
    return SR & SR_ERRORS;
}

static uint32_t erase(uint32_t what)
{
    SR = SR_ERRORS | SR_OPTVERR;
    CR = what;
    CR = what | CR_START;
    return finished();
}

uint32_t flash_init(void)
{
    if ((OPTR & OPTR_DBANK) == 0) {
        return WRONG_CHIP;
    }
    while ((SR & SR_BSY) != 0) {
    }
    /* The wait states stay: a program that was interrupted may have left the clock high. */
    ACR &= ~ACR_PREFETCH_AND_CACHES;
    ACR |= ACR_CACHE_RESETS;
    ACR &= ~ACR_CACHE_RESETS;
    if ((CR & CR_LOCK) != 0) {
        KEYR = 0x45670123u;
        KEYR = 0xCDEF89ABu;
    }
    return CR & CR_LOCK;
}

uint32_t flash_uninit(void)
{
    CR = CR_LOCK;
    return 0;
}

uint32_t flash_erase_all(void)
{
    return erase(CR_BOTH_BANKS);
}

uint32_t flash_erase_sector(uint32_t address)
{
    return erase(CR_PER | ((address - FLASH_BEGIN) >> PAGE_SHIFT) << CR_PAGE_SHIFT);
}

/* By double words. Those that are to be erased stay so: programmed with ones, their error correction couldn't change any more. */
uint32_t flash_program_page(uint32_t address, uint32_t bytes, const uint32_t *data)
{
    uint32_t errors = 0;
    for (uint32_t done = 0; done < bytes && errors == 0; done += 8, data += 2) {
        if ((data[0] & data[1]) == ERASED) {
            continue;
        }
        SR = SR_ERRORS | SR_OPTVERR;
        CR = CR_PG;
        REG(address + done) = data[0];
        __asm volatile("isb" ::: "memory");
        REG(address + done + 4u) = data[1];
        __asm volatile("dsb" ::: "memory");
        errors = finished();
    }
    return errors;
}
