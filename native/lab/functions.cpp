// Error of the elementary functions against libm in double precision, in units in the last place of the true value.
#include "kernels/functions.h"

#include <math.h>
#include <stdio.h>

#include <algorithm>

using namespace stemma::STEMMA_ISA;

template <class F, class G>
static void check(const char* name, F&& function, G&& truth, float low, float high) {
  double worst = 0, worstAbsolute = 0;
  float at = 0;
  const int count = 4'000'000;
  for (int i = 0; i < count; i += kLanes) {
    float x[kLanes], y[kLanes];
    for (int j = 0; j < kLanes; j++) x[j] = low + (high - low) * (float)(i + j) / (float)count;
    store(y, function(load(x)));
    for (int j = 0; j < kLanes; j++) {
      const double want = truth((double)x[j]);
      const float nearest = (float)fabs(want);
      const double unit = nextafterf(nearest, INFINITY) - nearest;
      const double error = fabs((double)y[j] - want);
      worstAbsolute = std::max(worstAbsolute, error);
      if (error / unit > worst) worst = error / unit, at = x[j];
    }
  }
  printf("%-10s [%9.3g, %9.3g]  %6.2f ulp at %.9g, absolute %.3g\n", name, low, high, worst, at, worstAbsolute);
}

template <class F>
static void limits(const char* name, F&& function) {
  const float points[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, 3e38f, -3e38f, 88.0f, 89.0f, -103.0f, -110.0f};
  printf("%-10s", name);
  for (float x : points) {
    float y[kLanes];
    store(y, function(broadcast(x)));
    printf("  f(%g)=%g", x, y[0]);
  }
  printf("\n");
}

int main() {
  auto e = [](Vec x) { return exp(x); };
  auto l = [](Vec x) { return log(x); };
  auto t = [](Vec x) { return tanh(x); };
  auto r = [](Vec x) { return erf(x); };
  auto s = [](Vec x) { return sigmoid(x); };
  check("exp", e, [](double x) { return ::exp(x); }, -87, 88.7f);
  check("exp", e, [](double x) { return ::exp(x); }, -103, -87);
  check("exp", e, [](double x) { return ::exp(x); }, -1, 1);
  check("log", l, [](double x) { return ::log(x); }, 1e-30f, 10);
  check("log", l, [](double x) { return ::log(x); }, 0.5f, 2);
  check("log", l, [](double x) { return ::log(x); }, 1, 1e30f);
  check("log", l, [](double x) { return ::log(x); }, 1e-44f, 1e-38f);
  check("tanh", t, [](double x) { return ::tanh(x); }, -12, 12);
  check("tanh", t, [](double x) { return ::tanh(x); }, -0.01f, 0.01f);
  check("erf", r, [](double x) { return ::erf(x); }, -5, 5);
  check("erf", r, [](double x) { return ::erf(x); }, -0.01f, 0.01f);
  check("sigmoid", s, [](double x) { return 1 / (1 + ::exp(-x)); }, -87, 87);
  limits("exp", e);
  limits("log", l);
  limits("tanh", t);
  limits("erf", r);
  limits("sigmoid", s);
}
