// The TensorFlow op "CropToImage", by TensorFlow's C interface for kernels.
//
// TensorFlow's headers are not there where this is compiled, nor its library:
// what is needed of both is declared here, and found when this is loaded, in
// the library that TensorFlow has loaded already.
// Source: tensorflow/c/kernels.h, ops.h, tf_tensor.h, tf_status.h of 2.20.

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

typedef struct TF_Tensor TF_Tensor;
typedef struct TF_Status TF_Status;
typedef struct TF_Context TF_Context;  // Of a kernel's construction or call.
typedef struct TF_Builder TF_Builder;  // Of an op or a kernel.
typedef struct TF_ShapeContext TF_ShapeContext;

enum { TF_OK = 0, TF_INVALID_ARGUMENT = 3, TF_RESOURCE_EXHAUSTED = 8 };
enum { TF_FLOAT = 1 };

// What is used of TensorFlow: returned type, name, arguments.
#define FUNCTIONS(X)                                                        \
  X(TF_Status*, TF_NewStatus, (void))                                       \
  X(void, TF_DeleteStatus, (TF_Status*))                                    \
  X(void, TF_SetStatus, (TF_Status*, int, const char*))                     \
  X(int, TF_GetCode, (const TF_Status*))                                    \
  X(const char*, TF_Message, (const TF_Status*))                            \
  X(void, TF_DeleteTensor, (TF_Tensor*))                                    \
  X(int, TF_NumDims, (const TF_Tensor*))                                    \
  X(int64_t, TF_Dim, (const TF_Tensor*, int))                               \
  X(void*, TF_TensorData, (const TF_Tensor*))                               \
  X(TF_Builder*, TF_NewOpDefinitionBuilder, (const char*))                  \
  X(void, TF_OpDefinitionBuilderAddAttr, (TF_Builder*, const char*))        \
  X(void, TF_OpDefinitionBuilderAddInput, (TF_Builder*, const char*))       \
  X(void, TF_OpDefinitionBuilderAddOutput, (TF_Builder*, const char*))      \
  X(void, TF_OpDefinitionBuilderSetShapeInferenceFunction,                  \
    (TF_Builder*, void (*)(TF_ShapeContext*, TF_Status*)))                  \
  X(void, TF_RegisterOpDefinition, (TF_Builder*, TF_Status*))               \
  X(void, TF_ShapeInferenceContextSetUnknownShape,                          \
    (TF_ShapeContext*, TF_Status*))                                         \
  X(TF_Builder*, TF_NewKernelBuilder,                                       \
    (const char*, const char*, void* (*)(TF_Context*),                      \
     void (*)(void*, TF_Context*), void (*)(void*)))                        \
  X(void, TF_RegisterKernelBuilder, (const char*, TF_Builder*, TF_Status*)) \
  X(void, TF_OpKernelConstruction_GetAttrInt64,                             \
    (TF_Context*, const char*, int64_t*, TF_Status*))                       \
  X(void, TF_OpKernelConstruction_GetAttrBool,                              \
    (TF_Context*, const char*, unsigned char*, TF_Status*))                 \
  X(void, TF_OpKernelConstruction_GetAttrString,                            \
    (TF_Context*, const char*, char*, size_t, TF_Status*))                  \
  X(void, TF_OpKernelConstruction_Failure, (TF_Context*, TF_Status*))       \
  X(void, TF_OpKernelContext_Failure, (TF_Context*, TF_Status*))            \
  X(void, TF_GetInput, (TF_Context*, int, TF_Tensor**, TF_Status*))         \
  X(TF_Tensor*, TF_AllocateOutput,                                          \
    (TF_Context*, int, int, const int64_t*, int, size_t, TF_Status*))

#define POINTER(RETURNED, NAME, ARGUMENTS) static RETURNED(*NAME) ARGUMENTS;
FUNCTIONS(POINTER)

// The inputs, in their order.
enum { kCrop, kMirrored, kOps, kArguments, kCentres, kInputs };

static const char* const kInputSpecs[kInputs] = {
    "crop: uint8", "mirrored: bool", "ops: int32", "arguments: float",
    "centres: float"};

static const char* const kResizes[] = {"bilinear", "bicubic", "legacy_bicubic"};

struct Settings {
  int64_t pixels;
  enum Kernel kernel;
  unsigned char clip;
};

static void any_shape(TF_ShapeContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

static void* create(TF_Context* context) {
  struct Settings* settings = calloc(1, sizeof *settings);
  char resize[32] = "";
  TF_Status* status = TF_NewStatus();
  TF_OpKernelConstruction_GetAttrInt64(context, "pixels", &settings->pixels,
                                       status);
  if (TF_GetCode(status) == TF_OK)
    TF_OpKernelConstruction_GetAttrBool(context, "clip", &settings->clip,
                                        status);
  if (TF_GetCode(status) == TF_OK)
    TF_OpKernelConstruction_GetAttrString(context, "resize", resize,
                                          sizeof resize - 1, status);
  for (int kernel = 0; kernel < 3; ++kernel)
    if (!strcmp(resize, kResizes[kernel])) settings->kernel = kernel;
  if (TF_GetCode(status) != TF_OK)
    TF_OpKernelConstruction_Failure(context, status);
  TF_DeleteStatus(status);
  return settings;
}

// Why the inputs do not go together; none where they do.
static const char* unfit(TF_Tensor* const* inputs) {
  const TF_Tensor* crop = inputs[kCrop];
  if (TF_NumDims(crop) != 3 || TF_Dim(crop, 2) != 3 || TF_Dim(crop, 0) < 1 ||
      TF_Dim(crop, 1) < 1)
    return "crop must be [height, width, 3], and not empty";
  if (TF_NumDims(inputs[kMirrored]) != 0) return "mirrored must be a scalar";
  const TF_Tensor *ops = inputs[kOps], *arguments = inputs[kArguments],
                  *centres = inputs[kCentres];
  if (TF_NumDims(ops) != 1 || TF_NumDims(arguments) != 1 ||
      TF_NumDims(centres) != 2 || TF_Dim(arguments, 0) != TF_Dim(ops, 0) ||
      TF_Dim(centres, 0) != TF_Dim(ops, 0) || TF_Dim(centres, 1) != 2)
    return "ops and arguments must be [layers], centres [layers, 2]";
  return NULL;
}

static bool make_image(const struct Settings* settings,
                       TF_Tensor* const* inputs, float* image) {
  const struct Crop crop = {TF_TensorData(inputs[kCrop]),
                            TF_Dim(inputs[kCrop], 0), TF_Dim(inputs[kCrop], 1)};
  const struct Drawn drawn = {
      TF_TensorData(inputs[kOps]), TF_TensorData(inputs[kArguments]),
      TF_TensorData(inputs[kCentres]), TF_Dim(inputs[kOps], 0)};
  const bool mirrored = *(const bool*)TF_TensorData(inputs[kMirrored]);
  const int side = (int)settings->pixels;
  return move_pixels(crop, settings->kernel, mirrored, settings->clip, drawn,
                     side, image) &&
         change_colours(drawn, side, image);
}

static void compute(void* made, TF_Context* context) {
  const struct Settings* settings = made;
  TF_Status* status = TF_NewStatus();
  TF_Tensor *inputs[kInputs] = {NULL}, *output = NULL;
  for (int at = 0; at < kInputs && TF_GetCode(status) == TF_OK; ++at)
    TF_GetInput(context, at, &inputs[at], status);
  if (TF_GetCode(status) == TF_OK) {
    const char* why = unfit(inputs);
    if (why) TF_SetStatus(status, TF_INVALID_ARGUMENT, why);
  }
  if (TF_GetCode(status) == TF_OK) {
    const int64_t side = settings->pixels, shape[] = {side, side, 3};
    output =
        TF_AllocateOutput(context, 0, TF_FLOAT, shape, 3,
                          (size_t)(side * side * 3) * sizeof(float), status);
  }
  if (TF_GetCode(status) == TF_OK &&
      !make_image(settings, inputs, TF_TensorData(output)))
    TF_SetStatus(status, TF_RESOURCE_EXHAUSTED, "no memory for an image");
  if (TF_GetCode(status) != TF_OK) TF_OpKernelContext_Failure(context, status);
  for (int at = 0; at < kInputs; ++at)
    if (inputs[at]) TF_DeleteTensor(inputs[at]);
  if (output) TF_DeleteTensor(output);
  TF_DeleteStatus(status);
}

// Whether all that is used was found.
static bool found_tensorflow(void) {
  void* library =
      dlopen("libtensorflow_framework.so.2", RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return false;
  bool all = true;
#define FIND(RETURNED, NAME, ARGUMENTS)   \
  *(void**)&NAME = dlsym(library, #NAME); \
  all = all && NAME;
  FUNCTIONS(FIND)
  return all;
}

// Runs as TensorFlow loads this. Without TensorFlow the op is not registered.
__attribute__((constructor)) static void register_op(void) {
  if (!found_tensorflow()) return;
  TF_Status* status = TF_NewStatus();
  TF_Builder* op = TF_NewOpDefinitionBuilder("CropToImage");
  for (int at = 0; at < kInputs; ++at)
    TF_OpDefinitionBuilderAddInput(op, kInputSpecs[at]);
  TF_OpDefinitionBuilderAddOutput(op, "image: float");
  TF_OpDefinitionBuilderAddAttr(op, "pixels: int >= 1");
  TF_OpDefinitionBuilderAddAttr(
      op, "resize: {'bilinear', 'bicubic', 'legacy_bicubic'}");
  TF_OpDefinitionBuilderAddAttr(op, "clip: bool");
  TF_OpDefinitionBuilderSetShapeInferenceFunction(op, any_shape);
  TF_RegisterOpDefinition(op, status);
  if (TF_GetCode(status) == TF_OK)
    TF_RegisterKernelBuilder(
        "CropToImage",
        TF_NewKernelBuilder("CropToImage", "CPU", create, compute, free),
        status);
  if (TF_GetCode(status) != TF_OK)
    fprintf(stderr, "CropToImage: %s\n", TF_Message(status));
  TF_DeleteStatus(status);
}
