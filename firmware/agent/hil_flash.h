/* Constants where flash isn't in the address space of data: there they are read by instructions of their own, and a constant
 * without HIL_FLASH would take RAM. Everywhere else these say nothing. */
#ifndef HIL_FLASH_H
#define HIL_FLASH_H

#include <string.h>

#ifdef __AVR__
#include <avr/pgmspace.h>
#define HIL_FLASH __flash
#define hil_from_flash(to, from, bytes) memcpy_P((to), (from), (bytes))
#else
#define HIL_FLASH
#define hil_from_flash(to, from, bytes) memcpy((to), (from), (bytes))
#endif

#endif
