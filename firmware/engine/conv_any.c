/* Convolutions that are dilated, grouped or transposed; depthwise ones are groups of one input channel. A transposed
 * one is a convolution, with its kernel turned round, of the image with up - 1 zeros between its pixels. */
#include "matmul_f32.h"
#include "requantize.h"

/* The positions of a kernel, along one dimension, that fall on an input. */
struct taps {
    int32_t first, stop, step;
    int32_t at, advance; /* the input of the first one, and how far it is to that of the next */
};

static struct taps taps_at(int32_t corner, int32_t kernel, int32_t dilation, int32_t up, int32_t size)
{
    struct taps t = {.step = up, .advance = up > 1 ? 1 : dilation}; /* never both */
    for (; t.first < kernel && (corner < 0 || corner % up); t.first++)
        corner += dilation;
    t.at = corner / up;
    int32_t inside = t.at < size ? (size - 1 - t.at) / t.advance + 1 : 0;
    t.stop = t.first + inside * t.step;
    t.stop = t.stop < kernel ? t.stop : kernel;
    return t;
}

ALWAYS_INLINE int32_t dot_s8(int32_t sum, const int8_t *x, const int8_t *weights, int32_t n, uint32_t minus_zeros)
{
    for (; n >= 4; n -= 4, x += 4, weights += 4) {
        uint32_t a = load4(x), b = load4(weights);
        sum = smlad(sxtab16(minus_zeros, a), sxtb16(b), sum);
        sum = smlad(sxtab16_ror8(minus_zeros, a), sxtb16_ror8(b), sum);
    }
    for (; n; n--)
        sum += (*x++ + (int16_t)minus_zeros) * *weights++;
    return sum;
}

#define DOT_FLOAT(name, type)                                                                                     \
    ALWAYS_INLINE float name(float sum, const float *x, const type *weights, int32_t n)                           \
    {                                                                                                             \
        for (; n; n--)                                                                                            \
            sum = fma_f32(*x++, *weights++, sum);                                                                 \
        return sum;                                                                                               \
    }
DOT_FLOAT(dot_f32, float)
DOT_FLOAT(dot_w8, int8_t)

#define CONV_ANY(suffix, type, weight, sum_type, before, start, dot, result)                                      \
    void hil_conv_any_##suffix(const struct hil_conv_any_##suffix *p, const type *x, type *y)                     \
    {                                                                                                             \
        const struct hil_window *w = &p->window;                                                                  \
        const struct hil_spread *s = &p->spread;                                                                  \
        const int32_t depth = w->in_c / s->groups, together = w->out_c / s->groups;                               \
        before;                                                                                                   \
        for (int32_t oy = 0; oy < w->out_h; oy++) {                                                               \
            struct taps v = taps_at(oy * w->stride_h - w->pad_top, w->k_h, s->dilation_h, s->up_h, w->in_h);      \
            for (int32_t ox = 0; ox < w->out_w; ox++) {                                                           \
                struct taps h = taps_at(ox * w->stride_w - w->pad_left, w->k_w, s->dilation_w, s->up_w, w->in_w); \
                const weight *weights = p->weights;                                                               \
                for (int32_t c = 0; c < w->out_c; c++, weights += w->k_h * w->k_w * depth) {                      \
                    const type *group = x + c / together * depth;                                                 \
                    sum_type sum = start;                                                                         \
                    for (int32_t ky = v.first, iy = v.at; ky < v.stop; ky += v.step, iy += v.advance) {           \
                        for (int32_t kx = h.first, ix = h.at; kx < h.stop; kx += h.step, ix += h.advance) {       \
                            const type *input = group + (iy * w->in_w + ix) * w->in_c;                            \
                            const weight *tap = weights + (ky * w->k_w + kx) * depth;                             \
                            sum = dot;                                                                            \
                        }                                                                                         \
                    }                                                                                             \
                    *y++ = result;                                                                                \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }

CONV_ANY(s8, int8_t, int8_t, int32_t, const uint32_t minus_zeros = (-p->quant.in_zero & 0xffffu) * 0x10001u,
         p->channels[c].bias, dot_s8(sum, input, tap, depth, minus_zeros),
         requantize(sum, &p->channels[c], &p->quant))
CONV_ANY(f32, float, float, float, (void)0, 0.0f, dot_f32(sum, input, tap, depth),
         clamp_f32(sum + p->bias[c], p->act_min, p->act_max))
CONV_ANY(w8, float, int8_t, float, (void)0, 0.0f, dot_w8(sum, input, tap, depth),
         clamp_f32(sum * p->scales[c] + p->bias[c], p->act_min, p->act_max))

/* Dilated depthwise of one output channel for each input channel, a multiple of four: four at a time. Weights are
 * [k_h][k_w][out_c]. */
void hil_depthwise_spread_s8(const struct hil_conv_any_s8 *p, const int8_t *x, int8_t *y)
{
    const struct hil_window *w = &p->window;
    const struct hil_spread *s = &p->spread;
    const uint32_t minus_zeros = (-p->quant.in_zero & 0xffffu) * 0x10001u;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        struct taps v = taps_at(oy * w->stride_h - w->pad_top, w->k_h, s->dilation_h, 1, w->in_h);
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            struct taps h = taps_at(ox * w->stride_w - w->pad_left, w->k_w, s->dilation_w, 1, w->in_w);
            for (int32_t c = 0; c < w->out_c; c += 4) {
                int32_t sum[4] = {0, 0, 0, 0};
                for (int32_t ky = v.first, iy = v.at; ky < v.stop; ky++, iy += v.advance) {
                    const int8_t *input = x + (iy * w->in_w + h.at) * w->in_c + c;
                    const int8_t *tap = p->weights + (ky * w->k_w + h.first) * w->out_c + c;
                    for (int32_t n = h.stop - h.first; n > 0; n--, input += h.advance * w->in_c, tap += w->out_c) {
                        uint32_t bytes = load4(input), weights = load4(tap);
                        uint32_t x02 = sxtab16(minus_zeros, bytes), x13 = sxtab16_ror8(minus_zeros, bytes);
                        uint32_t w02 = sxtb16(weights), w13 = sxtb16_ror8(weights);
                        sum[0] = smlabb(x02, w02, sum[0]);
                        sum[1] = smlabb(x13, w13, sum[1]);
                        sum[2] = smlatt(x02, w02, sum[2]);
                        sum[3] = smlatt(x13, w13, sum[3]);
                    }
                }
                for (int32_t i = 0; i < 4; i++)
                    *y++ = requantize(sum[i] + p->channels[c + i].bias, &p->channels[c + i], &p->quant);
            }
        }
    }
}
