/* Four columns of inputs by the rows of the weight matrix: four pixels with all their output channels. */
#include "matmul_f32.h"

#define PIXELS 4
#define CHANNELS 4 /* at a time, half a group of weights */

#if defined(HIL_FPU_ASSEMBLY)

/* Each of four inputs, one of each pixel, with four weights. */
#define PRODUCTS(x0, x1, x2, x3, w0, w1, w2, w3)                                                                \
    PRODUCT("0", x0, w0, w1, w2, w3) PRODUCT("1", x1, w0, w1, w2, w3) PRODUCT("2", x2, w0, w1, w2, w3)          \
        PRODUCT("3", x3, w0, w1, w2, w3)
#define PRODUCT(pixel, x, w0, w1, w2, w3)         \
    "vfma.f32 %[sum" pixel "0], " x ", " w0 "\n\t" \
    "vfma.f32 %[sum" pixel "1], " x ", " w1 "\n\t" \
    "vfma.f32 %[sum" pixel "2], " x ", " w2 "\n\t" \
    "vfma.f32 %[sum" pixel "3], " x ", " w3 "\n\t"
#define CLEAR(pixel)                   \
    "vmov %[sum" pixel "0], %[left]\n\t" \
    "vmov %[sum" pixel "1], %[left]\n\t" \
    "vmov %[sum" pixel "2], %[left]\n\t" \
    "vmov %[sum" pixel "3], %[left]\n\t"
#define SUM(sums, pixel) \
    [sum##pixel##0] "=&t"(sums[pixel][0]), [sum##pixel##1] "=&t"(sums[pixel][1]), \
    [sum##pixel##2] "=&t"(sums[pixel][2]), [sum##pixel##3] "=&t"(sums[pixel][3])

/* Two inputs of each pixel at a time. Loads of the FPU right behind each other take one cycle each, and no multiply-add
 * waits for the one before it: with eight weights and eight inputs the sums take all 32 registers. */
static inline void add_products(float sum[PIXELS][CHANNELS], const float *x, const float *w, uint32_t depth)
{
    const float *x1 = x + depth, *x2 = x1 + depth, *x3 = x2 + depth;
    uint32_t left;
    __asm__("movs   %[left], #0\n\t" CLEAR("0") CLEAR("1") CLEAR("2") CLEAR("3")
            "lsrs   %[left], %[depth], #1\n\t"
            "beq    2f\n\t"
            ".p2align 2\n"
            "1:\n\t"
            "vldr   s0, [%[w]]\n\t"
            "vldr   s1, [%[w], #4]\n\t"
            "vldr   s2, [%[w], #8]\n\t"
            "vldr   s3, [%[w], #12]\n\t"
            "vldr   s4, [%[w], #32]\n\t"
            "vldr   s5, [%[w], #36]\n\t"
            "vldr   s6, [%[w], #40]\n\t"
            "vldr   s7, [%[w], #44]\n\t"
            "vldmia %[x0]!, {s8, s9}\n\t"
            "vldmia %[x1]!, {s10, s11}\n\t"
            "vldmia %[x2]!, {s12, s13}\n\t"
            "vldmia %[x3]!, {s14, s15}\n\t"
            "add.w  %[w], %[w], #64\n\t"
            PRODUCTS("s8", "s10", "s12", "s14", "s0", "s1", "s2", "s3")
            PRODUCTS("s9", "s11", "s13", "s15", "s4", "s5", "s6", "s7")
            "subs.w %[left], %[left], #1\n\t"
            "bne    1b\n"
            "2:\n\t"
            "tst    %[depth], #1\n\t"
            "beq    3f\n\t"
            "vldr   s0, [%[w]]\n\t"
            "vldr   s1, [%[w], #4]\n\t"
            "vldr   s2, [%[w], #8]\n\t"
            "vldr   s3, [%[w], #12]\n\t"
            "vldr   s8, [%[x0]]\n\t"
            "vldr   s10, [%[x1]]\n\t"
            "vldr   s12, [%[x2]]\n\t"
            "vldr   s14, [%[x3]]\n\t"
            PRODUCTS("s8", "s10", "s12", "s14", "s0", "s1", "s2", "s3")
            "3:"
            : SUM(sum, 0), SUM(sum, 1), SUM(sum, 2), SUM(sum, 3), [left] "=&r"(left), [x0] "+r"(x), [x1] "+r"(x1),
              [x2] "+r"(x2), [x3] "+r"(x3), [w] "+r"(w)
            : [depth] "r"(depth)
            : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",
              "s14", "s15");
}

#else

static inline void add_products(float sum[PIXELS][CHANNELS], const float *x, const float *w, uint32_t depth)
{
    for (int i = 0; i < PIXELS; i++, x += depth) {
        for (int c = 0; c < CHANNELS; c++) {
            sum[i][c] = 0.0f;
            for (uint32_t d = 0; d < depth; d++)
                sum[i][c] = fma_f32(x[d], w[8 * d + (uint32_t)c], sum[i][c]);
        }
    }
}

#endif

/* One channel of four pixels. One copy of it, so that the whole loop fits a small cache. */
static __attribute__((noinline)) void store_four(const struct matmul_f32 *m, uint32_t c, float *y, float sum0,
                                                 float sum1, float sum2, float sum3)
{
    float bias = m->bias[c], low = m->act_min, high = m->act_max;
    uint32_t step = m->channels;
    y[c] = clamp_f32(sum0 + bias, low, high);
    y[step + c] = clamp_f32(sum1 + bias, low, high);
    y[2 * step + c] = clamp_f32(sum2 + bias, low, high);
    y[3 * step + c] = clamp_f32(sum3 + bias, low, high);
}

void hil_matmul_four_f32(const struct matmul_f32 *m, const float *x, float *y)
{
    for (uint32_t c = 0; c < m->channels; c += CHANNELS) {
        float sum[PIXELS][CHANNELS];
        add_products(sum, x, m->weights + c / 8 * 8 * m->depth + c % 8, m->depth);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < CHANNELS; i++) {
            if (c + i < m->channels)
                store_four(m, c + i, y, sum[0][i], sum[1][i], sum[2][i], sum[3][i]);
        }
    }
}
