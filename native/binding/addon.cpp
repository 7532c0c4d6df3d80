#include <node_api.h>

#include <string.h>

#include "binding/call.h"
#include "runtime/threads.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace stemma {

const Method* const methodFamilies[] = {memoryMethods, machineMethods, matmulMethods,    elementwiseMethods,
                                        unaryMethods,  rowMethods,     normMethods,      optimizerMethods,
                                        rotaryMethods, lstmMethods,    convolutionMethods, attentionMethods,
                                        tokenChoiceMethods, repeatMethods, nullptr};

namespace {

/**
 * Worker threads of the pool run this library's code for as long as the process lives, but Node unloads an addon when
 * the last environment that loaded it ends. Opening the library once more keeps it.
 */
void stayLoaded() {
#if !defined(_WIN32)
  Dl_info info;
  if (dladdr((void*)&stayLoaded, &info) != 0 && info.dli_fname) dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
#endif
}

void define(napi_env env, napi_value object, const char* name, napi_callback callback, void* data) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function);
  napi_set_named_property(env, object, name, function);
}

napi_value text(napi_env env, const char* value) {
  napi_value result;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

/** instructionSets(): names this machine can run, best first. */
napi_value instructionSets(napi_env env, napi_callback_info) {
  napi_value list;
  napi_create_array(env, &list);
  uint32_t count = 0;
  for (const KernelTable* const* table = availableKernels(); *table; table++) {
    napi_set_element(env, list, count++, text(env, (*table)->name));
  }
  return list;
}

/** A reference to a class, or null for what is none. */
napi_ref classReference(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_ref reference = nullptr;
  napi_typeof(env, value, &type);
  if (type == napi_function) napi_create_reference(env, value, 1, &reference);
  return reference;
}

/**
 * open(threads, instructionSet, StemmaError, DataError): an object with every function, bound to a number of threads (0
 * means one for each core) and an instruction set (empty means the best), which throws errors of these classes.
 * Undefined when this machine does not have that instruction set.
 */
napi_value open(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  double threads = 0;
  char name[32] = "";
  napi_get_value_double(env, arguments[0], &threads);
  napi_get_value_string_utf8(env, arguments[1], name, sizeof name, nullptr);
  const KernelTable* kernels = findKernels(name);
  if (!kernels) return nullptr;
  const int chosen = threads >= 1 ? (threads < 512 ? (int)threads : 512) : availableCores();
  // Functions may outlive the object that holds them, so contexts are never freed; there are few, and they are small.
  Context* context = new Context{kernels, chosen, classReference(env, arguments[2]),
                                 classReference(env, arguments[3])};
  napi_value object;
  napi_create_object(env, &object);
  napi_value names;
  napi_create_array(env, &names);
  uint32_t number = 0;
  for (const Method* const* family = methodFamilies; *family; family++) {
    for (const Method* method = *family; method->name; method++) {
      define(env, object, method->name, method->callback, context);
      napi_set_element(env, names, number++, text(env, method->name));
    }
  }
  napi_set_named_property(env, object, "methods", names);
  napi_set_named_property(env, object, "instructionSet", text(env, kernels->name));
  napi_set_named_property(env, object, "threads", stemma::number(env, chosen));
  napi_value hasBfloat16;
  napi_get_boolean(env, kernels->hasBfloat16Products, &hasBfloat16);
  napi_set_named_property(env, object, "hasBfloat16Products", hasBfloat16);
  return object;
}

}  // namespace

}  // namespace stemma

NAPI_MODULE_INIT() {
  stemma::stayLoaded();
  stemma::define(env, exports, "instructionSets", stemma::instructionSets, nullptr);
  stemma::define(env, exports, "open", stemma::open, nullptr);
  return exports;
}
