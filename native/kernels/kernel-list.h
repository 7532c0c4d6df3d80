#pragma once

#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/convolution.h"
#include "kernels/elementwise.h"
#include "kernels/group-norm.h"
#include "kernels/lstm.h"
#include "kernels/machine.h"
#include "kernels/matmul.h"
#include "kernels/norm.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/rotary.h"
#include "kernels/token-choice.h"
#include "kernels/transfer.h"
#include "kernels/unary.h"

/** Every kernel once: K(what it returns, its name, its arguments). The last argument is the number of threads it may use. */
#define STEMMA_KERNELS(K)                                                                                             \
  K(double, floatPeak, (double seconds, int threads))                                                                 \
  K(double, bfloat16Peak, (double seconds, int threads))                                                              \
  K(double, readBandwidth, (double seconds, int threads))                                                             \
  K(void, matmul, (const Matmul& product, int threads))                                                               \
  K(void, matmuls, (const Matmul* products, int count, int threads))                                                  \
  K(void, fill, (float* out, float value, int64_t length, int threads))                                               \
  K(void, affine, (const float* x, float scale, float shift, float* out, int64_t length, int threads))                \
  K(void, accumulate, (const float* x, float* out, int64_t length, int threads))                                      \
  K(void, selectWhere,                                                                                                \
    (const float* condition, const float* a, const float* b, float* out, int64_t length, int threads))                \
  K(void, normal, (const Draw& draw, float* out, int64_t length, int threads))                                        \
  K(void, dropout, (const float* x, double rate, const Draw& draw, float* out, int64_t length, int threads))          \
  K(void, binary,                                                                                                     \
    (BinaryKind kind, const Broadcast& broadcast, const float* a, const float* b, float* out, int threads))           \
  K(void, transfer, (const Transfer& transfer, const float* from, float* to, bool accumulate, int threads))           \
  K(void, unary, (UnaryKind kind, const float* x, float* out, int64_t length, int threads))                           \
  K(void, unaryGrad,                                                                                                  \
    (UnaryKind kind, const float* x, const float* dy, float* dx, int64_t length, int threads))                        \
  K(void, gatedUnit, (UnaryKind kind, const float* x, float* out, int64_t rows, int64_t width, int threads))          \
  K(void, gatedUnitGrad,                                                                                              \
    (UnaryKind kind, const float* x, const float* dy, float* dx, int64_t rows, int64_t width, int threads))           \
  K(void, sum, (const float* x, int64_t outer, int64_t axis, int64_t inner, float* out, int threads))                 \
  K(void, maxAlong, (const float* x, int64_t outer, int64_t axis, int64_t inner, float* out, int threads))            \
  K(void, argmax, (const float* x, int64_t rows, int64_t width, int32_t* out, int threads))                           \
  K(void, globalNorm, (const Span* spans, int count, float* out, int threads))                                        \
  K(void, softmax, (const float* x, float* y, int64_t rows, int64_t width, int threads))                              \
  K(void, softmaxGrad, (const float* y, const float* dy, float* dx, int64_t rows, int64_t width, int threads))        \
  K(void, logSoftmax, (const float* x, float* y, int64_t rows, int64_t width, int threads))                           \
  K(void, logSoftmaxGrad, (const float* y, const float* dy, float* dx, int64_t rows, int64_t width, int threads))     \
  K(void, crossEntropy,                                                                                               \
    (const float* logits, const int32_t* targets, float* losses, float* dLogits, float scale, int64_t rows,           \
     int64_t classes, int threads))                                                                                   \
  K(void, gatherRows,                                                                                                 \
    (WeightFormat format, const void* table, const int32_t* ids, float* out, int64_t rows, int64_t width,             \
     int threads))                                                                                                    \
  K(void, decode, (WeightFormat format, const void* from, float* out, int64_t length, int threads))                   \
  K(void, setRows,                                                                                                    \
    (WeightFormat format, const float* from, const int32_t* ids, void* table, int64_t rows, int64_t width,            \
     int threads))                                                                                                    \
  K(void, scatterAddRows,                                                                                             \
    (const float* from, const int32_t* ids, float* table, int64_t rows, int64_t width, int threads))                  \
  K(void, pick, (const float* x, const int32_t* ids, float* out, int64_t rows, int64_t width, int threads))           \
  K(void, pickGrad, (const float* dy, const int32_t* ids, float* dx, int64_t rows, int64_t width, int threads))       \
  K(void, layerNorm,                                                                                                  \
    (const float* x, const float* gain, const float* bias, float epsilon, float* y, float* mean, float* rstd,         \
     int64_t rows, int64_t width, int64_t samples, int threads))                                                      \
  K(void, layerNormGrad, (const NormGradient& gradient, int threads))                                                 \
  K(void, rmsNorm,                                                                                                    \
    (const float* x, const float* gain, float epsilon, float* y, float* rstd, int64_t rows, int64_t width,            \
     int threads))                                                                                                    \
  K(void, rmsNormGrad, (const NormGradient& gradient, int threads))                                                   \
  K(void, groupNorm, (const GroupNorm& norm, int threads))                                                            \
  K(void, groupNormGrad, (const GroupNormGradient& gradient, int threads))                                            \
  K(void, convolution, (const Convolution& convolution, int threads))                                                 \
  K(void, convolutionInputGrad, (const ConvolutionGradient& gradient, int threads))                                   \
  K(void, convolutionWeightGrad, (const ConvolutionGradient& gradient, int threads))                                  \
  K(void, rotary, (const Rotation& rotation, int threads))                                                            \
  K(void, lstmCell, (const LstmCell& cell, int threads))                                                              \
  K(void, lstmCellGrad, (const LstmCellGradient& gradient, int threads))                                              \
  K(void, average, (const AveragedTensor* tensors, int count, double decay, int threads))                             \
  K(void, adamw, (const AdamWTensor* tensors, int count, const AdamWConstants& constants, int threads))               \
  K(void, attention, (const Attention& attention, int threads))                                                       \
  K(void, attentionGrad, (const AttentionGradient& gradient, int threads))                                            \
  K(void, raggedAttention, (const RaggedAttention& attention, int threads))                                           \
  K(void, chooseTokens,                                                                                               \
    (const float* logits, int64_t rows, int64_t width, const TokenChoice* choices, double* const* outs, int threads))
