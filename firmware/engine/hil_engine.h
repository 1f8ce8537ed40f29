/* The kernels that harness.build calls in the C that it makes from a .tflite file.
 *
 * int8 kernels follow the TFLite quantization specification and compute, bit for bit, what TFLite Micro's
 * reference kernels do. Tensors are NHWC, one image, 4-byte aligned. Every fast kernel has a plain C twin
 * (NAME_plain), which the generated C calls instead when it is compiled with -DHIL_PLAIN_C. The compiler
 * (harness/build/) lays weights out for the kernel and checks what the fast ones assume; nothing is checked here. */
#ifndef HIL_ENGINE_H
#define HIL_ENGINE_H

#include "hil_flash.h"
#include "hil_signal.h"

#include <stdint.h>

/* Constants and tensors are aligned to 4 bytes, whatever is in them. */
typedef int64_t hil_int64 __attribute__((aligned(4)));

/* A window that slides over an image. */
struct hil_window {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t k_h, k_w, stride_h, stride_w;
    uint16_t pad_top, pad_left;
};

/* Turns an int32 sum of one output channel into int8. Two forms, see requantize.h:
 *   general: multiplier and shift (right; negative: left) as in TFLite;
 *   fast:    shift >= 1, the output's zero point is inside `round`, the clamp is that of int8. */
struct hil_channel {
    int32_t bias, multiplier, round, shift;
};

struct hil_quant {
    int16_t in_zero, out_zero;
    int16_t act_min, act_max;
    uint16_t fast; /* every channel may take the fast form */
};

struct hil_conv_s8 {
    struct hil_window window;
    struct hil_quant quant;
    const HIL_FLASH int8_t *weights; /* fast: pairs of channels, see matmul_s8.h; plain: [out_c][k_h][k_w][in_c] */
    const HIL_FLASH struct hil_channel *channels; /* fast: bias - in_zero x sum of weights; plain: bias */
};

struct hil_depthwise_s8 {
    struct hil_window window;
    struct hil_quant quant;
    const HIL_FLASH int8_t *weights; /* [k_h][k_w][out_c]; of hil_depthwise_any_s8 filled up to a multiple of four channels */
    const HIL_FLASH struct hil_channel *channels;
};

struct hil_fully_connected_s8 {
    uint32_t rows, depth, outputs;
    struct hil_quant quant;
    const HIL_FLASH int8_t *weights; /* fast: pairs of channels; plain: [outputs][depth] */
    const HIL_FLASH struct hil_channel *channels;
};

struct hil_pool_s8 {
    struct hil_window window;
    int16_t act_min, act_max;
};

struct hil_mean_s8 {
    uint32_t pixels, channels;
    int32_t multiplier, shift;
    int16_t in_zero, out_zero;
};

struct hil_softmax_s8 {
    uint32_t rows, depth;
    int32_t multiplier, left_shift, diff_min;
};

/* An int8 function of one input. */
struct hil_lookup_s8 {
    uint32_t count;
    const HIL_FLASH int8_t *table; /* outputs of the bytes 0 to 255 */
};

struct hil_add_s8 {
    uint32_t count, period;         /* of the output; of the second input, which repeats */
    const HIL_FLASH int8_t *constant;         /* the second input, if it is constant */
    int32_t first, second, offset;  /* fast, see add_s8.c */
    int32_t first_multiplier, first_shift, second_multiplier, second_shift, multiplier, shift; /* plain */
    int16_t first_zero, second_zero, out_zero, act_min, act_max;
};

struct hil_mul_s8 {
    uint32_t count, period;
    const HIL_FLASH int8_t *constant;
    uint32_t minus_zeros[2]; /* less the zero point of each input, twice in 16 bits */
    struct hil_quant quant;
    struct hil_channel channel;
};

struct hil_pad {
    uint32_t in[4], out[4], before[4]; /* sizes in elements, and the padding before */
    float value;                       /* what is outside */
};

struct hil_binary_f32 {
    uint32_t count, period;
    const HIL_FLASH float *constant;
    float act_min, act_max;
};

struct hil_unary_f32 {
    uint32_t count;
    float act_min, act_max; /* of ReLU and the like */
    float alpha;            /* of leaky ReLU */
};

struct hil_elementwise_f32 {
    uint32_t count, period, swapped; /* swapped: the tensor that repeats is the first of the two */
    const HIL_FLASH float *constant;
    float act_min, act_max;
};

struct hil_extremum_s8 {
    uint32_t count, period;
    const HIL_FLASH int8_t *constant;
};

/* Four loops over the output, the outermost first, and each input's step in them, in values; 0 where it repeats. */
struct hil_broadcast {
    uint32_t count[4], first[4], second[4];
    const HIL_FLASH void *constant;
    uint32_t swapped; /* the constant is the first of the two */
    int32_t first_multiplier, first_shift, second_multiplier, second_shift, multiplier, shift; /* int8 */
    int32_t first_zero, second_zero, out_zero, act_min, act_max;
    float low, high; /* of the activation of float32 */
};

/* The same for three inputs. */
struct hil_select {
    uint32_t count[4], step[3][4];
    const HIL_FLASH void *condition, *first, *second; /* those that are constant */
};

struct hil_arg_max {
    uint32_t rows, depth;
};

/* int16 activations, int8 weights; depthwise layers, too, and matrices as convolutions of one pixel a row. */
struct hil_conv_s16 {
    struct hil_window window;
    int16_t act_min, act_max;
    uint16_t wide;                      /* sums of 64 bits, see requantize_s16.h; else of 32 */
    const HIL_FLASH int8_t *weights;              /* fast: see conv_s16.c and depthwise_s16.c; plain: as of int8 */
    const HIL_FLASH struct hil_channel *channels; /* plain: `round` is the upper half of the bias */
};

struct hil_binary_s16 {
    uint32_t count, period;
    const HIL_FLASH int16_t *constant;
    int32_t first_multiplier, first_shift, second_multiplier, second_shift, multiplier, shift;
    int16_t act_min, act_max;
};

struct hil_relu_s16 {
    uint32_t count;
    int32_t multiplier, shift, below_multiplier, below_shift; /* below: for negative inputs */
    int16_t act_min, act_max;
};

struct hil_sigmoid_s16 {
    uint32_t count;
    int32_t multiplier, shift;
    const HIL_FLASH uint16_t *table; /* sigmoid(i / 24), of 256 values */
};

struct hil_softmax_s16 {
    uint32_t rows, depth;
    int32_t multiplier, shift;
    const HIL_FLASH int16_t *exponentials, *reciprocals; /* 513 values each */
};

struct hil_conv_f32 {
    struct hil_window window;
    const HIL_FLASH float *weights; /* fast: [out_c / 8][k_h][k_w][in_c][8]; plain: [out_c][k_h][k_w][in_c] */
    const HIL_FLASH float *bias;
    float act_min, act_max;
};

struct hil_depthwise_f32 {
    struct hil_window window;
    const HIL_FLASH float *weights; /* [k_h][k_w][out_c] */
    const HIL_FLASH float *bias;
    float act_min, act_max;
};

struct hil_fully_connected_f32 {
    uint32_t rows, depth, outputs;
    const HIL_FLASH float *weights; /* fast: [outputs / 8][depth][8]; plain: [outputs][depth] */
    const HIL_FLASH float *bias;
    float act_min, act_max;
};

/* The same with int8 weights and, for each output channel, their scale. */
struct hil_conv_w8 {
    struct hil_window window;
    const HIL_FLASH int8_t *weights;
    const HIL_FLASH float *scales, *bias;
    float act_min, act_max;
};

struct hil_depthwise_w8 {
    struct hil_window window;
    const HIL_FLASH int8_t *weights;
    const HIL_FLASH float *scales, *bias;
    float act_min, act_max;
};

struct hil_fully_connected_w8 {
    uint32_t rows, depth, outputs;
    const HIL_FLASH int8_t *weights;
    const HIL_FLASH float *scales, *bias;
    float act_min, act_max;
};

/* How far apart the kernel's positions are, what zeros stand between inputs (up - 1), and groups of channels. */
struct hil_spread {
    uint16_t dilation_h, dilation_w, up_h, up_w, groups;
};

struct hil_conv_any_s8 {
    struct hil_window window;
    struct hil_spread spread;
    struct hil_quant quant;
    const HIL_FLASH int8_t *weights; /* [out_c][k_h][k_w][in_c / groups]; of hil_depthwise_spread_s8 [k_h][k_w][out_c] */
    const HIL_FLASH struct hil_channel *channels;
};

struct hil_conv_any_f32 {
    struct hil_window window;
    struct hil_spread spread;
    const HIL_FLASH float *weights, *bias;
    float act_min, act_max;
};

struct hil_conv_any_w8 {
    struct hil_window window;
    struct hil_spread spread;
    const HIL_FLASH int8_t *weights;
    const HIL_FLASH float *scales, *bias;
    float act_min, act_max;
};

/* Lower and upper row (column) of each output's, and how far it is from the lower to the upper one. */
struct hil_resize_s8 {
    uint32_t out_h, out_w, row, channels; /* row: values of the input */
    const HIL_FLASH uint16_t *rows, *columns;
    const HIL_FLASH int32_t *down, *across; /* in 1/1024 */
};

struct hil_resize_f32 {
    uint32_t out_h, out_w, row, channels;
    const HIL_FLASH uint16_t *rows, *columns;
    const HIL_FLASH float *down, *across;
};

struct hil_scaling {
    int32_t multiplier, shift; /* as in struct hil_channel */
};

/* Elements of `batch_stride` and `step_stride` are vectors. Each unit has a row of weights for each gate: input, forget,
 * cell, output. */
struct hil_lstm_s8 {
    uint32_t batches, steps, inputs, units, batch_stride, step_stride;
    struct hil_scaling input[4], recurrent[4], kept, added, output;
    int32_t out_zero, cell_min, cell_max, tanh_multiplier, tanh_shift;
    const HIL_FLASH int8_t *weights, *recurrent_weights; /* fast: pairs of rows, see matmul_s8.h */
    const HIL_FLASH int32_t *bias;                       /* of each unit: four for the inputs, four for what is fed back */
    const HIL_FLASH hil_int64 *wide_bias;                /* int16 activations: of each unit four */
    const HIL_FLASH uint16_t *sigmoid;
};

struct hil_lstm_f32 {
    uint32_t batches, steps, inputs, units, batch_stride, step_stride;
    float cell_clip;
    const HIL_FLASH float *weights, *recurrent_weights; /* [units / 2][depth][2 x 4] */
    const HIL_FLASH float *bias;                        /* [units][4] */
};

struct hil_svdf_s8 {
    uint32_t batches, inputs, filters, rank, memory;
    struct hil_scaling feature, output;
    int32_t state_zero, out_zero;
    const HIL_FLASH int8_t *weights;   /* [filters][inputs]; fast: pairs of rows, see matmul_s8.h */
    const HIL_FLASH int32_t *offsets;  /* [filters]: what the input's zero point adds */
    const HIL_FLASH int8_t *time_s8;   /* [filters][memory], of an int8 state */
    const HIL_FLASH int16_t *time_s16; /* of an int16 one */
    const HIL_FLASH int32_t *bias;     /* [filters / rank] */
};

/* Elements from one to the next: matrices, lines of the product's rows or columns, values of a line. */
struct hil_strides {
    uint32_t batch, line, depth;
};

struct hil_batch_matmul {
    uint32_t batches, rows, depth, columns;
    struct hil_strides first, second;
    const HIL_FLASH void *constant; /* the second factor, if it is constant */
    struct hil_scaling scaling;
    int32_t first_zero, second_zero, out_zero;
};

struct hil_l2_normalization {
    uint32_t rows, depth;
    int32_t in_zero;
};

struct hil_svdf_f32 {
    uint32_t batches, inputs, filters, rank, memory;
    const HIL_FLASH float *weights; /* [filters / 8][inputs][8] */
    const HIL_FLASH float *time, *bias;
    float act_min, act_max;
};

struct hil_pool_f32 {
    struct hil_window window;
    float act_min, act_max;
};

struct hil_mean_f32 {
    uint32_t pixels, channels;
};

/* Loops over the dimensions that stay and over those that are reduced, the outermost first, and their steps in values. */
struct hil_reduce {
    uint32_t kept[4], kept_step[4], over[4], over_step[4];
    int32_t zeros, multiplier, shift, out_zero; /* int8; zeros: the input's zero point, times the values of a sum */
    float divisor;
};

struct hil_cumsum {
    uint32_t rows, count, channels, exclusive, reverse;
};

struct hil_softmax_f32 {
    uint32_t rows, depth;
    float beta;
};

struct hil_quantize {
    uint32_t count;
    float scale;
    int32_t zero;
};

struct hil_requantize {
    uint32_t count;
    int32_t multiplier, shift, in_zero, out_zero;
};

struct hil_cast {
    uint32_t count;
};

/* Strides and offset in bytes. Several rows don't overlap. */
struct hil_copy_rows {
    uint32_t rows, row_bytes, from_stride, to_stride, to_offset;
};

/* Four loops over the input, the outermost first, each with its step in bytes; each turn of the last one copies a run. */
struct hil_copy {
    uint32_t count[4];
    int32_t step[4];
    uint32_t start, run_bytes;
};

/* Runs that start anywhere. */
struct hil_copy_listed {
    uint32_t count, run_bytes;
    const HIL_FLASH int32_t *starts; /* in bytes */
};

/* A constant input of a concatenation. */
struct hil_copy_constant {
    struct hil_copy_rows copy;
    const HIL_FLASH int8_t *values;
};

/* In plain C a 1 x 1 convolution of floats is a convolution like any other, and any depthwise one is the same. */
#define hil_depthwise_any_s8_plain hil_depthwise_s8_plain
#define hil_depthwise_3x3_s8_plain hil_depthwise_s8_plain
#define hil_conv1x1_f32_plain hil_conv_f32_plain
#define hil_conv1x1_w8_plain hil_conv_w8_plain

/* `scratch`: memory in the arena, as much as the compiler planned for this layer, 4-byte aligned. */
void hil_conv_s8(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_conv1x1_s8(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_conv1x1_s8_plain(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_conv_s8_plain(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_depthwise_s8(const HIL_FLASH struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_depthwise_3x3_s8(const HIL_FLASH struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_depthwise_any_s8(const HIL_FLASH struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_depthwise_s8_plain(const HIL_FLASH struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_fully_connected_s8(const HIL_FLASH struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y);
void hil_fully_connected_s8_plain(const HIL_FLASH struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y);
void hil_average_pool_s8(const HIL_FLASH struct hil_pool_s8 *p, const int8_t *x, int8_t *y);
void hil_max_pool_s8(const HIL_FLASH struct hil_pool_s8 *p, const int8_t *x, int8_t *y);
void hil_max_pool_s8_plain(const HIL_FLASH struct hil_pool_s8 *p, const int8_t *x, int8_t *y);
void hil_mean_s8(const HIL_FLASH struct hil_mean_s8 *p, const int8_t *x, int8_t *y);
void hil_mean_s8_plain(const HIL_FLASH struct hil_mean_s8 *p, const int8_t *x, int8_t *y);
void hil_softmax_s8(const HIL_FLASH struct hil_softmax_s8 *p, const int8_t *x, int8_t *y);
void hil_softmax_s8_s16(const HIL_FLASH struct hil_softmax_s8 *p, const int8_t *x, int16_t *y);
void hil_add_s8(const HIL_FLASH struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y);
void hil_add_s8_plain(const HIL_FLASH struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y);
void hil_add_constant_s8(const HIL_FLASH struct hil_add_s8 *p, const int8_t *x, int8_t *y);
void hil_add_constant_s8_plain(const HIL_FLASH struct hil_add_s8 *p, const int8_t *x, int8_t *y);
void hil_mul_s8(const HIL_FLASH struct hil_mul_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y);
void hil_mul_s8_plain(const HIL_FLASH struct hil_mul_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y);
void hil_mul_constant_s8(const HIL_FLASH struct hil_mul_s8 *p, const int8_t *x, int8_t *y);
void hil_mul_constant_s8_plain(const HIL_FLASH struct hil_mul_s8 *p, const int8_t *x, int8_t *y);
void hil_lookup_s8(const HIL_FLASH struct hil_lookup_s8 *p, const int8_t *x, int8_t *y);
void hil_pad_s8(const HIL_FLASH struct hil_pad *p, const int8_t *x, int8_t *y);

/* Weights of 4 bits, two in a byte, see weights_s4.h. */
#define hil_conv1x1_s4_plain hil_conv_s4_plain
void hil_conv_s4(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_conv1x1_s4(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_conv_s4_plain(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_depthwise_s4(const HIL_FLASH struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_depthwise_s4_plain(const HIL_FLASH struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch);
void hil_fully_connected_s4(const HIL_FLASH struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y);
void hil_fully_connected_s4_plain(const HIL_FLASH struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y);

#define hil_conv1x1_s16_plain hil_conv_s16_plain
void hil_conv_s16(const HIL_FLASH struct hil_conv_s16 *p, const int16_t *x, int16_t *y, void *scratch);
void hil_conv1x1_s16(const HIL_FLASH struct hil_conv_s16 *p, const int16_t *x, int16_t *y, void *scratch);
void hil_conv_s16_plain(const HIL_FLASH struct hil_conv_s16 *p, const int16_t *x, int16_t *y, void *scratch);
void hil_depthwise_s16(const HIL_FLASH struct hil_conv_s16 *p, const int16_t *x, int16_t *y);
void hil_depthwise_s16_plain(const HIL_FLASH struct hil_conv_s16 *p, const int16_t *x, int16_t *y);
void hil_average_pool_s16(const HIL_FLASH struct hil_pool_s8 *p, const int16_t *x, int16_t *y);
void hil_max_pool_s16(const HIL_FLASH struct hil_pool_s8 *p, const int16_t *x, int16_t *y);
void hil_mean_s16(const HIL_FLASH struct hil_mean_s8 *p, const int16_t *x, int16_t *y);
void hil_pad_s16(const HIL_FLASH struct hil_pad *p, const int16_t *x, int16_t *y);
void hil_relu_s16(const HIL_FLASH struct hil_relu_s16 *p, const int16_t *x, int16_t *y);
void hil_logistic_s16(const HIL_FLASH struct hil_sigmoid_s16 *p, const int16_t *x, int16_t *y);
void hil_tanh_s16(const HIL_FLASH struct hil_sigmoid_s16 *p, const int16_t *x, int16_t *y);
void hil_softmax_s16(const HIL_FLASH struct hil_softmax_s16 *p, const int16_t *x, int16_t *y);

void hil_conv_f32(const HIL_FLASH struct hil_conv_f32 *p, const float *x, float *y, void *scratch);
void hil_conv1x1_f32(const HIL_FLASH struct hil_conv_f32 *p, const float *x, float *y, void *scratch);
void hil_conv_f32_plain(const HIL_FLASH struct hil_conv_f32 *p, const float *x, float *y, void *scratch);
void hil_depthwise_f32(const HIL_FLASH struct hil_depthwise_f32 *p, const float *x, float *y);
void hil_depthwise_f32_plain(const HIL_FLASH struct hil_depthwise_f32 *p, const float *x, float *y);
void hil_fully_connected_f32(const HIL_FLASH struct hil_fully_connected_f32 *p, const float *x, float *y);
void hil_fully_connected_f32_plain(const HIL_FLASH struct hil_fully_connected_f32 *p, const float *x, float *y);

void hil_conv_w8(const HIL_FLASH struct hil_conv_w8 *p, const float *x, float *y, void *scratch);
void hil_conv1x1_w8(const HIL_FLASH struct hil_conv_w8 *p, const float *x, float *y, void *scratch);
void hil_conv_w8_plain(const HIL_FLASH struct hil_conv_w8 *p, const float *x, float *y, void *scratch);
void hil_depthwise_w8(const HIL_FLASH struct hil_depthwise_w8 *p, const float *x, float *y);
void hil_depthwise_w8_plain(const HIL_FLASH struct hil_depthwise_w8 *p, const float *x, float *y);
void hil_fully_connected_w8(const HIL_FLASH struct hil_fully_connected_w8 *p, const float *x, float *y);
void hil_fully_connected_w8_plain(const HIL_FLASH struct hil_fully_connected_w8 *p, const float *x, float *y);

void hil_conv_any_s8(const HIL_FLASH struct hil_conv_any_s8 *p, const int8_t *x, int8_t *y);
void hil_depthwise_spread_s8(const HIL_FLASH struct hil_conv_any_s8 *p, const int8_t *x, int8_t *y);
void hil_conv_any_f32(const HIL_FLASH struct hil_conv_any_f32 *p, const float *x, float *y);
void hil_conv_any_w8(const HIL_FLASH struct hil_conv_any_w8 *p, const float *x, float *y);

void hil_resize_bilinear_s8(const HIL_FLASH struct hil_resize_s8 *p, const int8_t *x, int8_t *y);
void hil_resize_bilinear_f32(const HIL_FLASH struct hil_resize_f32 *p, const float *x, float *y);

void hil_average_pool_f32(const HIL_FLASH struct hil_pool_f32 *p, const float *x, float *y);
void hil_max_pool_f32(const HIL_FLASH struct hil_pool_f32 *p, const float *x, float *y);
void hil_mean_f32(const HIL_FLASH struct hil_mean_f32 *p, const float *x, float *y);
void hil_softmax_f32(const HIL_FLASH struct hil_softmax_f32 *p, const float *x, float *y);
void hil_log_softmax_f32(const HIL_FLASH struct hil_softmax_f32 *p, const float *x, float *y);
void hil_add_f32(const HIL_FLASH struct hil_binary_f32 *p, const float *x1, const float *x2, float *y);
void hil_add_constant_f32(const HIL_FLASH struct hil_binary_f32 *p, const float *x, float *y);
void hil_mul_f32(const HIL_FLASH struct hil_binary_f32 *p, const float *x1, const float *x2, float *y);
void hil_mul_constant_f32(const HIL_FLASH struct hil_binary_f32 *p, const float *x, float *y);
void hil_relu_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y);
void hil_leaky_relu_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y);
void hil_hard_swish_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y);
void hil_logistic_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y);
void hil_tanh_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y);
void hil_pad_f32(const HIL_FLASH struct hil_pad *p, const float *x, float *y);

#define HIL_UNARY(name) void hil_##name##_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y);
HIL_UNARY(abs)
HIL_UNARY(neg)
HIL_UNARY(square)
HIL_UNARY(sqrt)
HIL_UNARY(rsqrt)
HIL_UNARY(exp)
HIL_UNARY(log)
HIL_UNARY(elu)
HIL_UNARY(gelu)
HIL_UNARY(gelu_tanh)
HIL_UNARY(floor)
HIL_UNARY(ceil)
HIL_UNARY(round)
HIL_UNARY(sin)
HIL_UNARY(cos)

#define HIL_BINARY(name, type, short, struct_type)                                                                \
    void hil_##name##_##short(const struct struct_type *p, const type *x1, const type *x2, type *y);              \
    void hil_##name##_constant_##short(const struct struct_type *p, const type *x, type *y);
HIL_BINARY(sub, float, f32, hil_elementwise_f32)
HIL_BINARY(div, float, f32, hil_elementwise_f32)
HIL_BINARY(minimum, float, f32, hil_elementwise_f32)
HIL_BINARY(maximum, float, f32, hil_elementwise_f32)
HIL_BINARY(prelu, float, f32, hil_elementwise_f32)
HIL_BINARY(minimum, int8_t, s8, hil_extremum_s8)
HIL_BINARY(maximum, int8_t, s8, hil_extremum_s8)
HIL_BINARY(add, int16_t, s16, hil_binary_s16)
HIL_BINARY(sub, int16_t, s16, hil_binary_s16)
HIL_BINARY(mul, int16_t, s16, hil_binary_s16)
HIL_BINARY(sub, int8_t, s8, hil_add_s8)
void hil_sub_s8_plain(const HIL_FLASH struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y);
void hil_sub_constant_s8_plain(const HIL_FLASH struct hil_add_s8 *p, const int8_t *x, int8_t *y);

#define HIL_PAIR(name, from, to)                                                                                  \
    void hil_any_##name(const HIL_FLASH struct hil_broadcast *p, const from *x1, const from *x2, to *y);                    \
    void hil_any_##name##_constant(const HIL_FLASH struct hil_broadcast *p, const from *x, to *y);
HIL_PAIR(add_s8, int8_t, int8_t)
HIL_PAIR(sub_s8, int8_t, int8_t)
HIL_PAIR(mul_s8, int8_t, int8_t)
HIL_PAIR(minimum_s8, int8_t, int8_t)
HIL_PAIR(maximum_s8, int8_t, int8_t)
HIL_PAIR(prelu_s8, int8_t, int8_t)
HIL_PAIR(squared_difference_s8, int8_t, int8_t)
HIL_PAIR(add_f32, float, float)
HIL_PAIR(sub_f32, float, float)
HIL_PAIR(mul_f32, float, float)
HIL_PAIR(div_f32, float, float)
HIL_PAIR(minimum_f32, float, float)
HIL_PAIR(maximum_f32, float, float)
HIL_PAIR(prelu_f32, float, float)
HIL_PAIR(pow_f32, float, float)
HIL_PAIR(floor_div_f32, float, float)
HIL_PAIR(floor_mod_f32, float, float)
HIL_PAIR(squared_difference_f32, float, float)
HIL_PAIR(add_s32, int32_t, int32_t)
HIL_PAIR(sub_s32, int32_t, int32_t)
HIL_PAIR(mul_s32, int32_t, int32_t)
HIL_PAIR(div_s32, int32_t, int32_t)
HIL_PAIR(minimum_s32, int32_t, int32_t)
HIL_PAIR(maximum_s32, int32_t, int32_t)
HIL_PAIR(squared_difference_s32, int32_t, int32_t)
#define HIL_COMPARISON(name)                                                                                      \
    HIL_PAIR(name##_s8, int8_t, uint8_t)                                                                          \
    HIL_PAIR(name##_f32, float, uint8_t)                                                                          \
    HIL_PAIR(name##_s32, int32_t, uint8_t)
HIL_COMPARISON(less)
HIL_COMPARISON(less_equal)
HIL_COMPARISON(greater)
HIL_COMPARISON(greater_equal)
HIL_COMPARISON(equal)
HIL_COMPARISON(not_equal)
HIL_PAIR(logical_and_bool, uint8_t, uint8_t)
HIL_PAIR(logical_or_bool, uint8_t, uint8_t)
HIL_PAIR(equal_bool, uint8_t, uint8_t)
HIL_PAIR(not_equal_bool, uint8_t, uint8_t)

#define HIL_SELECT(bits)                                                                                          \
    void hil_select1_##bits(const HIL_FLASH struct hil_select *p, const void *a, void *y);                                  \
    void hil_select2_##bits(const HIL_FLASH struct hil_select *p, const void *a, const void *b, void *y);                   \
    void hil_select3_##bits(const HIL_FLASH struct hil_select *p, const void *a, const void *b, const void *c, void *y);
HIL_SELECT(8)
HIL_SELECT(16)
HIL_SELECT(32)

void hil_sum_f32(const HIL_FLASH struct hil_mean_f32 *p, const float *x, float *y);
void hil_reduce_max_s8(const HIL_FLASH struct hil_mean_f32 *p, const int8_t *x, int8_t *y);
void hil_reduce_max_f32(const HIL_FLASH struct hil_mean_f32 *p, const float *x, float *y);
void hil_reduce_strided_sum_s8(const HIL_FLASH struct hil_reduce *p, const int8_t *x, int8_t *y);
void hil_reduce_strided_max_s8(const HIL_FLASH struct hil_reduce *p, const int8_t *x, int8_t *y);
void hil_reduce_strided_min_s8(const HIL_FLASH struct hil_reduce *p, const int8_t *x, int8_t *y);
void hil_reduce_strided_sum_f32(const HIL_FLASH struct hil_reduce *p, const float *x, float *y);
void hil_reduce_strided_max_f32(const HIL_FLASH struct hil_reduce *p, const float *x, float *y);
void hil_reduce_strided_min_f32(const HIL_FLASH struct hil_reduce *p, const float *x, float *y);
void hil_cumsum_f32(const HIL_FLASH struct hil_cumsum *p, const float *x, float *y);
void hil_arg_max_s8(const HIL_FLASH struct hil_arg_max *p, const int8_t *x, int32_t *y);
void hil_arg_max_f32(const HIL_FLASH struct hil_arg_max *p, const float *x, int32_t *y);
void hil_arg_min_s8(const HIL_FLASH struct hil_arg_max *p, const int8_t *x, int32_t *y);
void hil_arg_min_f32(const HIL_FLASH struct hil_arg_max *p, const float *x, int32_t *y);

void hil_batch_matmul_s8(const HIL_FLASH struct hil_batch_matmul *p, const int8_t *x1, const int8_t *x2, int8_t *y);
void hil_batch_matmul_constant_s8(const HIL_FLASH struct hil_batch_matmul *p, const int8_t *x, int8_t *y);
void hil_batch_matmul_f32(const HIL_FLASH struct hil_batch_matmul *p, const float *x1, const float *x2, float *y);
void hil_batch_matmul_constant_f32(const HIL_FLASH struct hil_batch_matmul *p, const float *x, float *y);
void hil_l2_normalization_s8(const HIL_FLASH struct hil_l2_normalization *p, const int8_t *x, int8_t *y);
void hil_l2_normalization_f32(const HIL_FLASH struct hil_l2_normalization *p, const float *x, float *y);

/* The state is read and written. */
void hil_lstm_s8(const HIL_FLASH struct hil_lstm_s8 *p, const int8_t *x, int8_t *hidden, int16_t *cell, int8_t *y);
void hil_lstm_s8_plain(const HIL_FLASH struct hil_lstm_s8 *p, const int8_t *x, int8_t *hidden, int16_t *cell, int8_t *y);
void hil_lstm_s16(const HIL_FLASH struct hil_lstm_s8 *p, const int16_t *x, int16_t *hidden, int16_t *cell, int16_t *y);
void hil_lstm_f32(const HIL_FLASH struct hil_lstm_f32 *p, const float *x, float *hidden, float *cell, float *y);
void hil_svdf_s8(const HIL_FLASH struct hil_svdf_s8 *p, const int8_t *x, int8_t *state, int8_t *y);
void hil_svdf_s8_plain(const HIL_FLASH struct hil_svdf_s8 *p, const int8_t *x, int8_t *state, int8_t *y);
void hil_svdf_s8_s16(const HIL_FLASH struct hil_svdf_s8 *p, const int8_t *x, int16_t *state, int8_t *y);
void hil_svdf_s8_s16_plain(const HIL_FLASH struct hil_svdf_s8 *p, const int8_t *x, int16_t *state, int8_t *y);
void hil_svdf_f32(const HIL_FLASH struct hil_svdf_f32 *p, const float *x, float *state, float *y);

void hil_copy_rows(const HIL_FLASH struct hil_copy_rows *p, const void *x, void *y);
void hil_copy(const HIL_FLASH struct hil_copy *p, const void *x, void *y);
void hil_copy_listed(const HIL_FLASH struct hil_copy_listed *p, const void *x, void *y);
void hil_copy_constant(const HIL_FLASH struct hil_copy_constant *p, void *y);

void hil_quantize_s8(const HIL_FLASH struct hil_quantize *p, const float *x, int8_t *y);
void hil_quantize_u8(const HIL_FLASH struct hil_quantize *p, const float *x, uint8_t *y);
void hil_quantize_s16(const HIL_FLASH struct hil_quantize *p, const float *x, int16_t *y);
void hil_dequantize_s8(const HIL_FLASH struct hil_quantize *p, const int8_t *x, float *y);
void hil_dequantize_u8(const HIL_FLASH struct hil_quantize *p, const uint8_t *x, float *y);
void hil_dequantize_s16(const HIL_FLASH struct hil_quantize *p, const int16_t *x, float *y);
void hil_requantize_s8_s16(const HIL_FLASH struct hil_requantize *p, const int8_t *x, int16_t *y);
void hil_requantize_s8_s32(const HIL_FLASH struct hil_requantize *p, const int8_t *x, int32_t *y);
void hil_requantize_s16_s8(const HIL_FLASH struct hil_requantize *p, const int16_t *x, int8_t *y);
void hil_requantize_s16_s16(const HIL_FLASH struct hil_requantize *p, const int16_t *x, int16_t *y);
void hil_requantize_s16_s32(const HIL_FLASH struct hil_requantize *p, const int16_t *x, int32_t *y);
void hil_requantize_s32_s8(const HIL_FLASH struct hil_requantize *p, const int32_t *x, int8_t *y);
void hil_requantize_s32_s16(const HIL_FLASH struct hil_requantize *p, const int32_t *x, int16_t *y);
void hil_cast_s8_f32(const HIL_FLASH struct hil_cast *p, const int8_t *x, float *y);
void hil_cast_u8_f32(const HIL_FLASH struct hil_cast *p, const uint8_t *x, float *y);
void hil_cast_s16_f32(const HIL_FLASH struct hil_cast *p, const int16_t *x, float *y);
void hil_cast_s32_f32(const HIL_FLASH struct hil_cast *p, const int32_t *x, float *y);
void hil_cast_s8_s32(const HIL_FLASH struct hil_cast *p, const int8_t *x, int32_t *y);
void hil_cast_u8_s32(const HIL_FLASH struct hil_cast *p, const uint8_t *x, int32_t *y);
void hil_cast_s16_s32(const HIL_FLASH struct hil_cast *p, const int16_t *x, int32_t *y);
void hil_cast_u32_f32(const HIL_FLASH struct hil_cast *p, const uint32_t *x, float *y);
void hil_cast_s32_s8(const HIL_FLASH struct hil_cast *p, const int32_t *x, int8_t *y);
void hil_cast_s32_s16(const HIL_FLASH struct hil_cast *p, const int32_t *x, int16_t *y);
void hil_cast_f32_s32(const HIL_FLASH struct hil_cast *p, const float *x, int32_t *y);

#endif
