/* Does what a boot loader does before it starts the application at 0x10000: traps on, the reason of the reset, a
 * look at the USB supply and at its identity, then the application's own vector table. Chapters are those of the
 * nRF52840 product specification; CCR and VTOR: Armv7-M architecture, B3.2. */
#include "testfw.h"

#define CCR REG(0xE000ED14)
#define DIV_0_TRP (1u << 4)
#define POWER_USBREGSTATUS REG(0x40000438) /* POWER */
#define POWER_GPREGRET REG(0x4000051C)
#define NVMC_READY REG(0x4001E400) /* NVMC */
#define FICR_DEVICEADDR REG(0x100000A4) /* FICR */
#define APPLICATION ((const uint32_t *)0x10000)

volatile uint32_t usb_supply, identity;

void test_main(void) {
    CCR |= DIV_0_TRP;
    usb_supply = POWER_USBREGSTATUS;
    identity = FICR_DEVICEADDR;
    if (POWER_GPREGRET == 0xB1 || !NVMC_READY) {
        return; /* asked to stay */
    }
    VTOR = (uint32_t)APPLICATION;
    __asm volatile("msr msp, %0\n bx %1" ::"r"(APPLICATION[0]), "r"(APPLICATION[1]));
}
