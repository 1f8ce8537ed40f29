/* Energies of channels (mel bands), and what automatic gain makes of them. */
#include "hil_signal.h"

/* Each bin belongs to two channels: its weight counts in one, the rest in the next. */
void hil_filter_bank(const struct hil_filter_bank *p, const uint32_t *x, hil_uint64 *y)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= p->channels; i++) {
        const uint32_t *bin = x + p->starts[i];
        const int16_t *weight = p->weights + p->weight_starts[i], *unweight = p->unweights + p->weight_starts[i];
        uint64_t next = 0;
        for (int32_t left = p->widths[i]; left > 0; left--, bin++) {
            sum += (uint64_t)*weight++ * *bin;
            next += (uint64_t)*unweight++ * *bin;
        }
        if (i > 0)
            *y++ = sum; /* the first one is only the rest of the first band */
        sum = next;
    }
}

/* To the nearest whole number, bit by bit, from the highest pair of bits that isn't 0. */
static uint32_t root32(uint32_t number)
{
    uint32_t root = 0;
    if (number == 0)
        return 0;
    for (uint32_t bit = 1u << ((31 - __builtin_clz(number)) & ~1); bit; bit >>= 2) {
        if (number >= root + bit) {
            number -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return number > root && root != UINT16_MAX ? root + 1 : root;
}

static uint32_t root64(uint64_t number)
{
    uint64_t root = 0;
    if (number >> 32 == 0)
        return root32((uint32_t)number);
    for (uint64_t bit = (uint64_t)1 << ((63 - __builtin_clzll(number)) & ~1); bit; bit >>= 2) {
        if (number >= root + bit) {
            number -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)(number > root && root != UINT32_MAX ? root + 1 : root);
}

void hil_filter_bank_square_root(const struct hil_signal_count *p, const hil_uint64 *x, const int32_t *bits,
                                 uint32_t *y)
{
    const uint32_t shift = (uint32_t)*bits;
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = root64(x[i]) >> shift;
}

void hil_noise_estimate(const struct hil_noise *p, const uint32_t *x, uint32_t *noise)
{
    for (uint32_t i = 0; i < p->channels; i++) {
        uint32_t signal = x[i] << p->smoothing_bits;
        uint64_t sum = (uint64_t)signal * p->smoothing[i % 2u] + (uint64_t)noise[i] * p->kept[i % 2u];
        uint32_t estimate = (uint32_t)(sum >> p->bits);
        noise[i] = p->clamps && estimate > signal ? signal : estimate;
    }
}

void hil_noise_subtract(const struct hil_noise *p, const uint32_t *x, const uint32_t *noise, uint32_t *y)
{
    for (uint32_t i = 0; i < p->channels; i++) {
        uint32_t signal = x[i] << p->smoothing_bits;
        uint32_t left = noise[i] > signal ? 0 : (signal - noise[i]) >> p->smoothing_bits;
        uint32_t least = (uint32_t)(((uint64_t)x[i] * p->least) >> p->bits);
        y[i] = left > least ? left : least;
    }
}

/* The gain for a noise level: a parabola for each power of two. */
static int16_t gain_of(uint32_t noise, const int16_t *gains)
{
    if (noise <= 2)
        return gains[noise];
    int32_t bits = 32 - __builtin_clz(noise);
    const int16_t *part = gains + 4 * bits - 6;
    int32_t within = (int32_t)((bits < 11 ? noise << (11 - bits) : noise >> (bits - 11)) & 0x3FFu);
    uint32_t value = (uint32_t)((part[2] * within) >> 5) + ((uint32_t)part[1] << 5);
    value = value * (uint32_t)within + (1u << 14);
    return (int16_t)(((int32_t)value >> 15) + part[0]);
}

/* Per-channel amplitude normalization: the signal over its noise, of 12 bits behind the point, squeezed to 6. */
void hil_pcan(const struct hil_pcan *p, const uint32_t *x, const uint32_t *noise, uint32_t *y)
{
    for (uint32_t i = 0; i < p->channels; i++) {
        uint32_t gain = (uint32_t)gain_of(noise[i], p->gains);
        uint32_t ratio = (uint32_t)(((uint64_t)x[i] * gain) >> p->shift);
        y[i] = ratio < 2u << 12 ? (ratio * ratio) >> 20 : (ratio >> 6) - (1u << 6);
    }
}

/* ln x = ln 2 times (bits + fraction + what the table says is missing between two powers of two), of 16 bits behind the
 * point. The table's steps are 1 / 128; between them TFLite Micro shifts by 16 bits, where 9 would interpolate. */
void hil_signal_log(const struct hil_signal_log *p, const uint32_t *x, int16_t *y)
{
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t value = x[i] << p->shift;
        if (value <= 1) {
            y[i] = 0;
            continue;
        }
        uint32_t whole = 31u - (uint32_t)__builtin_clz(value), fraction = value - (1u << whole);
        fraction = whole < 16 ? fraction << (16 - whole) : fraction >> (whole - 16);
        uint32_t at = fraction >> 9;
        int32_t low = p->table[at], high = p->table[at + 1];
        int32_t between = ((high - low) * (int32_t)(fraction & 511u)) >> 16;
        uint32_t log2 = (whole << 16) + fraction + (uint32_t)(low + between);
        uint32_t natural = (uint32_t)(((uint64_t)45426 * log2 + 32768) >> 16);
        uint32_t scaled = (p->scale * natural + 32768) >> 16;
        y[i] = (int16_t)(scaled < INT16_MAX ? scaled : INT16_MAX);
    }
}
