/* int8 depthwise convolution by a 3 x 3 kernel with a horizontal stride of 1 or 2, of a multiple of four channels. */
#include "requantize.h"

#ifndef __ARM_ARCH_6M__ /* depthwise_m0.c */

/* Four channels are read at a time, into a band of three padded image rows: a ring to which each output row brings only
 * the rows that are new. Inputs are 16 bits, less the zero point, so that padding is zero. A word has two neighbouring
 * pixels of one channel, so that one SMLAD takes two positions of the kernel. A pair of pixels has 12 words: four
 * channels by three rows.
 *
 * Then one channel at a time: its weights stay in registers for a whole output row. Of a kernel row (w0, w1, w2) these
 * are (w0, w1) and (w1, w2), since with stride 1 an output at an odd place begins in the middle of a word. */
enum { CHANNELS = 4, ROWS = 3, PAIR = CHANNELS * ROWS, WEIGHTS = 2 * (2 * ROWS - 1) };

struct band {
    const struct hil_window *window;
    const int8_t *x; /* first of the four channels */
    uint32_t *words;
    uint32_t zeros;      /* four bytes */
    uint32_t minus_zero; /* twice, in 16 bits */
    int32_t pairs;       /* of a row */
};

struct four { /* channels of a pixel, or of a position of the kernel */
    uint32_t c02, c13;
};

/* Of each channel a word, the channels `step` words apart. */
ALWAYS_INLINE void store_pair(uint32_t *words, const uint32_t step, struct four left, struct four right)
{
    words[0] = lower_halves(left.c02, right.c02);
    words[step] = lower_halves(left.c13, right.c13);
    words[2 * step] = upper_halves(left.c02, right.c02);
    words[3 * step] = upper_halves(left.c13, right.c13);
}

ALWAYS_INLINE struct four pixel(const struct band *band, const int8_t *x, int inside)
{
    uint32_t bytes = band->zeros;
    if (inside)
        bytes = load4(x);
    return (struct four){sxtab16(band->minus_zero, bytes), sxtab16_ror8(band->minus_zero, bytes)};
}

static void load_row(const struct band *given, int32_t iy)
{
    const struct band band = *given;
    const struct hil_window *w = band.window;
    uint32_t *words = band.words + (uint32_t)(iy + w->pad_top) % ROWS;
    uint32_t in_w = iy < 0 || iy >= w->in_h ? 0 : w->in_w, in_c = w->in_c, ix = -(uint32_t)w->pad_left;
    const int8_t *x = band.x + (iy * w->in_w - w->pad_left) * w->in_c;
    for (int32_t left = band.pairs; left; left--, ix += 2, words += PAIR) {
        struct four first = pixel(&band, x, ix < in_w);
        x += in_c;
        store_pair(words, ROWS, first, pixel(&band, x, ix + 1 < in_w));
        x += in_c;
    }
}

/* Of each channel the kernel's rows 0, 1, 2, 0, 1: wherever the ring begins, three that follow each other. */
static void load_weights(uint32_t *weights, const int8_t *taps, uint32_t in_c)
{
    for (uint32_t i = 0; i < 2 * ROWS - 1; i++, weights += 2) {
        const int8_t *row = taps + i % ROWS * 3 * in_c;
        struct four w[3];
        for (uint32_t kx = 0; kx < 3; kx++, row += in_c)
            w[kx] = (struct four){sxtb16(load4(row)), sxtb16_ror8(load4(row))};
        store_pair(weights, WEIGHTS, w[0], w[1]);
        store_pair(weights + 1, WEIGHTS, w[1], w[2]);
    }
}

struct output { /* of a channel */
    struct hil_channel channel; /* in the fast form the bias is doubled */
    uint32_t out_c;
    const uint32_t *end; /* of the inputs of pairs of outputs */
};

struct kernel { /* the weights of a channel */
    uint32_t a0, b0, a1, b1, a2, b2;
};

ALWAYS_INLINE struct kernel load_kernel(const uint32_t *weights)
{
    struct kernel k;
    LOAD_TWO(k.a0, k.b0, weights, 0);
    LOAD_TWO(k.a1, k.b1, weights, 2);
    LOAD_TWO(k.a2, k.b2, weights, 4);
    return k;
}

ALWAYS_INLINE int32_t even_sum(const struct kernel *k, const uint32_t *x)
{
    int32_t sum = smlad(x[2], k->a2, smlad(x[1], k->a1, smlad(x[0], k->a0, 0)));
    x += PAIR;
    return smlabt(x[2], k->b2, smlabt(x[1], k->b1, smlabt(x[0], k->b0, sum)));
}

ALWAYS_INLINE int32_t odd_sum(const struct kernel *k, const uint32_t *x)
{
    int32_t sum = smlatb(x[2], k->a2, smlatb(x[1], k->a1, smlatb(x[0], k->a0, 0)));
    x += PAIR;
    return smlad(x[2], k->b2, smlad(x[1], k->b1, smlad(x[0], k->b0, sum)));
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__OPTIMIZE__)

/* Loads right behind each other take one cycle each instead of two, if 32-bit instructions lie at word boundaries. */
#define LOAD_THREE(base, at0, at1, at2)              \
    "ldr.w  %[t0], [%[" base "], #" at0 "]\n\t"      \
    "ldr.w  %[t1], [%[" base "], #" at1 "]\n\t"      \
    "ldr.w  %[t2], [%[" base "], #" at2 "]\n\t"
#define FIRST_TWO(sum)                               \
    "smuad  %[" sum "], %[t0], %[a0]\n\t"            \
    "smlad  %[" sum "], %[t1], %[a1], %[" sum "]\n\t" \
    "smlad  %[" sum "], %[t2], %[a2], %[" sum "]\n\t"
#define THIRD(sum)                                    \
    "smlabt %[" sum "], %[t0], %[b0], %[" sum "]\n\t" \
    "smlabt %[" sum "], %[t1], %[b1], %[" sum "]\n\t" \
    "smlabt %[" sum "], %[t2], %[b2], %[" sum "]\n\t"
#define FIRST(sum)                                    \
    "smultb %[" sum "], %[t0], %[a0]\n\t"             \
    "smlatb %[" sum "], %[t1], %[a1], %[" sum "]\n\t" \
    "smlatb %[" sum "], %[t2], %[a2], %[" sum "]\n\t"
#define LAST_TWO(sum)                                 \
    "smlad  %[" sum "], %[t0], %[b0], %[" sum "]\n\t" \
    "smlad  %[" sum "], %[t1], %[b1], %[" sum "]\n\t" \
    "smlad  %[" sum "], %[t2], %[b2], %[" sum "]\n\t"
/* requantize_fast, before and after the shift is loaded */
#define SCALE(sum)                                             \
    "add.w  %[" sum "], %[t0], %[" sum "], lsl #1\n\t"         \
    "smmulr %[" sum "], %[" sum "], %[t1]\n\t"                 \
    "add.w  %[" sum "], %[" sum "], %[" sum "], asr #31\n\t"   \
    "add.w  %[" sum "], %[" sum "], %[t2]\n\t"
#define SATURATE(sum)                                 \
    "asr.w  %[" sum "], %[" sum "], %[t0]\n\t"        \
    "ssat   %[" sum "], #8, %[" sum "]\n\t"

/* Outputs of pairs of pixels with stride 1, until the end; takes all 14 registers. */
ALWAYS_INLINE void pairs(const struct output *o, const struct kernel *k, const uint32_t **x, int8_t **y)
{
    uint32_t even, odd, t0, t1, t2;
    __asm__ volatile(".p2align 2\n"
                     "1:\n\t" LOAD_THREE("x", "0", "4", "8") FIRST_TWO("even") FIRST("odd")
                     LOAD_THREE("x", "48", "52", "56") "add.w  %[x], #48\n\t" THIRD("even") LAST_TWO("odd")
                     LOAD_THREE("o", "0", "4", "8") SCALE("even") SCALE("odd")
                     LOAD_THREE("o", "12", "16", "20") SATURATE("even") SATURATE("odd")
                     "strb.w %[even], [%[y]]\n\t"
                     "strb.w %[odd], [%[y], %[t1]]\n\t"
                     "add.w  %[y], %[y], %[t1], lsl #1\n\t"
                     "cmp    %[x], %[t2]\n\t"
                     "bne    1b"
                     : [even] "=&r"(even), [odd] "=&r"(odd), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),
                       [x] "+r"(*x), [y] "+r"(*y)
                     : [o] "r"(o), [a0] "r"(k->a0), [a1] "r"(k->a1), [a2] "r"(k->a2), [b0] "r"(k->b0),
                       [b1] "r"(k->b1), [b2] "r"(k->b2)
                     : "cc", "memory");
}

ALWAYS_INLINE void single(const struct output *o, const struct kernel *k, const uint32_t *x, int8_t *y)
{
    uint32_t sum, t0, t1, t2;
    __asm__ volatile(".p2align 2\n\t" LOAD_THREE("x", "0", "4", "8") FIRST_TWO("sum")
                     LOAD_THREE("x", "48", "52", "56") THIRD("sum")
                     LOAD_THREE("o", "0", "4", "8") SCALE("sum")
                     "ldr.w  %[t0], [%[o], #12]\n\t" SATURATE("sum")
                     "strb.w %[sum], [%[y]]"
                     : [sum] "=&r"(sum), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2)
                     : [x] "r"(x), [y] "r"(y), [o] "r"(o), [a0] "r"(k->a0), [a1] "r"(k->a1), [a2] "r"(k->a2),
                       [b0] "r"(k->b0), [b1] "r"(k->b1), [b2] "r"(k->b2)
                     : "memory");
}

#else

ALWAYS_INLINE int8_t requantize_doubled(const struct output *o, int32_t sum)
{
    return requantize_fast((int32_t)((uint32_t)sum + (uint32_t)(o->channel.bias >> 1)), &o->channel);
}

ALWAYS_INLINE void single(const struct output *o, const struct kernel *k, const uint32_t *x, int8_t *y)
{
    *y = requantize_doubled(o, even_sum(k, x));
}

ALWAYS_INLINE void pairs(const struct output *o, const struct kernel *k, const uint32_t **x, int8_t **y)
{
    for (; *x != o->end; *x += PAIR, *y += 2 * o->out_c) {
        single(o, k, *x, *y);
        (*y)[o->out_c] = requantize_doubled(o, odd_sum(k, *x));
    }
}

#endif
/* A row of four channels. */
static __attribute__((noinline)) void pair_rows(const struct output *o, const uint32_t *weights, const uint32_t *x,
                                                int8_t *y, uint32_t out_w)
{
    for (const struct output *end = o + CHANNELS; o != end; o++, weights += WEIGHTS, x += ROWS, y++) {
        const struct kernel k = load_kernel(weights);
        const uint32_t *from = x;
        int8_t *to = y;
        if (out_w > 1)
            pairs(o, &k, &from, &to);
        if (out_w & 1u)
            single(o, &k, from, to);
    }
}

static __attribute__((noinline)) void single_rows(const struct output *o, const uint32_t *weights, const uint32_t *x,
                                                  int8_t *y, uint32_t out_w)
{
    for (const struct output *end = o + CHANNELS; o != end; o++, weights += WEIGHTS, x += ROWS, y++) {
        const struct kernel k = load_kernel(weights);
        int8_t *to = y;
        for (const uint32_t *from = x, *stop = x + out_w * PAIR; from != stop; from += PAIR, to += o->out_c)
            single(o, &k, from, to);
    }
}

static void any_rows(const struct hil_depthwise_s8 *p, const struct hil_channel *channel, const uint32_t *weights,
                     const uint32_t *x, int8_t *y)
{
    const struct hil_window *w = &p->window;
    for (uint32_t i = 0; i < CHANNELS; i++, channel++, weights += WEIGHTS, x += ROWS) {
        const struct kernel k = load_kernel(weights);
        for (uint32_t ox = 0, ix = 0; ox < w->out_w; ox++, ix += w->stride_w) {
            int32_t sum = ix % 2 ? odd_sum(&k, x + ix / 2 * PAIR) : even_sum(&k, x + ix / 2 * PAIR);
            y[ox * w->out_c + i] = requantize(sum + channel->bias, channel, &p->quant);
        }
    }
}

/* An input row is in the band before an output row is written over it, so `y` may be `x`. */
void hil_depthwise_3x3_s8(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    uint32_t *weights = scratch;
    uint32_t zero = (uint32_t)p->quant.in_zero, minus_zero = -zero;
    struct band band = {
        .window = w,
        .words = weights + CHANNELS * WEIGHTS,
        .zeros = (zero & 0xffu) * 0x01010101u,
        .minus_zero = lower_halves(minus_zero, minus_zero),
        .pairs = ((w->out_w - 1) * w->stride_w + 3 + 1) / 2,
    };
    struct output outputs[CHANNELS];
    for (int32_t c = 0; c < w->in_c; c += CHANNELS) {
        load_weights(weights, p->weights + c, w->in_c);
        for (int32_t i = 0; i < CHANNELS; i++) {
            outputs[i] = (struct output){p->channels[c + i], w->out_c, band.words + i * ROWS + w->out_w / 2 * PAIR};
            outputs[i].channel.bias *= 2;
        }
        band.x = x + c;
        int32_t loaded = -w->pad_top; /* the next row that the band doesn't have */
        uint32_t first = 0;           /* row of the kernel by the ring's first */
        for (int32_t oy = 0; oy < w->out_h; oy++) {
            int32_t top = oy * w->stride_h - w->pad_top;
            if (loaded < top)
                loaded = top;
            for (; loaded < top + ROWS; loaded++)
                load_row(&band, loaded);
            const uint32_t *k = weights + 2 * first;
            int8_t *out = y + oy * w->out_w * w->out_c + c;
            if (!p->quant.fast)
                any_rows(p, p->channels + c, k, band.words, out);
            else if (w->stride_w == 1)
                pair_rows(outputs, k, band.words, out, w->out_w);
            else
                single_rows(outputs, k, band.words, out, w->out_w);
            first = (first + 2u * w->stride_h) % ROWS;
        }
    }
}

#endif
