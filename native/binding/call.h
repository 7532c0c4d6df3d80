#pragma once

#include <node_api.h>

#include "kernels/random.h"
#include "runtime/dispatch.h"
#include "runtime/storage.h"

namespace stemma {

/** What `open` chose: the kernels and the number of threads that every function of the returned object uses. */
struct Context {
  const KernelTable* kernels;
  int threads;
  /** Classes of src/core/errors.ts: of a call that cannot be made, and of ids that point past the end. */
  napi_ref stemmaError;
  napi_ref dataError;
};

/** a · b for sizes, at most the largest number there is: sizes that no memory could hold stay too large. */
inline int64_t times(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/** a + b in the same way. */
inline int64_t plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/** A stretch of a storage from a view's first element on. Data is null for a view that is absent. */
struct View {
  float* data;
  int64_t available;
};

/** The same of a storage whose numbers may be in another format. */
struct WeightView {
  const void* data;
  int64_t available;
  WeightFormat format;
};

/** A call that JavaScript made before, made once more: its numbers, in the order of the arguments. */
struct RepeatedCall {
  const Context& context;
  const double* numbers;
  size_t count;
};

/** A typed array of JavaScript. */
struct Values {
  void* data;
  int64_t elements;
  bool isBytes;
};

/**
 * Arguments of one call from JavaScript, read in order. The first thing that is wrong becomes a JavaScript exception
 * that names the kernel; after it every read gives zeros, so that a binding checks `ok()` once, before it computes.
 */
class Call {
 public:
  /** Without `info`, the arguments are those of the call that `repeat` has under way. */
  Call(napi_env env, napi_callback_info info, const char* kernel);

  /** Makes a call once more, of a method whose arguments are all numbers. */
  static void repeat(napi_env env, napi_callback method, const RepeatedCall& call);

  bool ok() const { return !failed_; }
  const Context& context() const { return *context_; }
  const KernelTable& kernels() const { return *context_->kernels; }
  int threads() const { return context_->threads; }

  double number();
  /** A whole number, at least 0. */
  int64_t size();
  /** The same, of a table's entry. */
  int64_t sizeOf(double entry);
  bool flag() { return number() != 0; }
  /** A whole number below `count`, as an enumeration. */
  template <class Kind>
  Kind choice(int count) {
    const int64_t value = size();
    if (value >= count) fail("an unknown kind");
    return (Kind)(ok() ? value : 0);
  }
  /** Two numbers: handle and offset. */
  View view();
  /** The same, with handle -1 standing for a view that is absent. */
  View optionalView();
  /** The same of an operand that may be weights in any format. */
  WeightView weightView();
  /** Three numbers: both words of the key, and the stream. */
  Draw draw();
  /** The view that two numbers of a table stand for. */
  View viewAt(const double* handleAndOffset);
  WeightView weightViewAt(const double* handleAndOffset);
  /** The Float64Array at the next place: a table of arguments too long for a list. */
  const double* doubles(size_t* count);
  /** The typed array at the next place: of float32, int32 or bytes. */
  Values typedArray();

  /** The floats of a view, once it is known how many elements the kernel will touch. */
  float* floats(const View& view, int64_t needed, const char* name);
  int32_t* ints(const View& view, int64_t needed, const char* name) { return (int32_t*)floats(view, needed, name); }

  /** The weights of a view, `needed` of them in rows of `rowLength`, which must be whole blocks. */
  const void* weights(const WeightView& view, int64_t needed, int64_t rowLength, const char* name);

  /** Fails when one of `count` ids is not below `limit`. Negative ids stand for nothing. */
  void checkIds(const int32_t* ids, int64_t count, int64_t limit);

  /** Throws, unless something was thrown before: `kernel: what`. */
  void fail(const char* what);

  napi_env env() const { return env_; }

 private:
  static constexpr size_t kMaxArguments = 64;

  View viewOf(int64_t handle, int64_t offset);
  WeightView weightViewOf(int64_t handle, int64_t offset);
  bool hasRoom(int64_t needed, int64_t available, const char* name);
  napi_value next();
  void failWith(napi_ref errorClass, const char* what);

  napi_env env_;
  const char* kernel_;
  const Context* context_ = nullptr;
  napi_value arguments_[kMaxArguments];
  /** Instead of arguments, in a call that is repeated. */
  const double* numbers_ = nullptr;
  size_t count_ = kMaxArguments;
  size_t next_ = 0;
  bool failed_ = false;
};

/** Room for a list of arguments while one call lasts. */
template <class Item>
class Scratched {
 public:
  explicit Scratched(int count) : memory_(acquireScratch((count + 1) * sizeof(Item))) {}
  ~Scratched() { releaseScratch(memory_); }
  Scratched(const Scratched&) = delete;
  Scratched& operator=(const Scratched&) = delete;
  Item* data() const { return (Item*)memory_; }
  Item& operator[](int i) const { return data()[i]; }

 private:
  void* memory_;
};

/** Name and entry point of one function of the addon. */
struct Method {
  const char* name;
  napi_callback callback;
};

/** Functions of each family, ended by an entry without a name. */
extern const Method memoryMethods[];
extern const Method machineMethods[];
extern const Method matmulMethods[];
extern const Method elementwiseMethods[];
extern const Method unaryMethods[];
extern const Method rowMethods[];
extern const Method normMethods[];
extern const Method optimizerMethods[];
extern const Method rotaryMethods[];
extern const Method lstmMethods[];
extern const Method convolutionMethods[];
extern const Method attentionMethods[];
extern const Method tokenChoiceMethods[];
extern const Method repeatMethods[];

/** All of them, ended by null. A method's number is its place among those of all families. */
extern const Method* const methodFamilies[];

}  // namespace stemma
