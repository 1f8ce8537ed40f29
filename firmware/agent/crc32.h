/* CRC-32 as in Ethernet and zlib (reflected 0x04C11DB7, initial and final value 0xFFFFFFFF). */
#ifndef HIL_CRC32_H
#define HIL_CRC32_H

#include <stdint.h>

/* CRC of `bytes` bytes that follow data whose CRC is `crc`; start with 0. */
uint32_t hil_crc32(uint32_t crc, const void *data, uint32_t bytes);

#endif
