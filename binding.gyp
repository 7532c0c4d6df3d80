{
  # The same kernel sources are compiled once for each instruction set; the best one the processor has is chosen when
  # the addon is opened. Nothing here may use the flags of the machine that builds (-march=native).
  "variables": {
    "common_flags": [
      "-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-psabi", "-Wno-uninitialized", "-Wno-maybe-uninitialized",
      "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"
    ],
    "kernel_sources": ["<!@(node -p \"require('fs').readdirSync('native/kernels').filter((f) => f.endsWith('.cpp')).map((f) => 'native/kernels/' + f).join(' ')\")"],
  },
  "target_defaults": {
    "include_dirs": ["native"],
    "cflags!": ["-O2", "-fno-omit-frame-pointer"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["<@(common_flags)"],
    "xcode_settings": {
      "OTHER_CPLUSPLUSFLAGS": ["<@(common_flags)"],
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "MACOSX_DEPLOYMENT_TARGET": "11.0"
    }
  },
  "targets": [
    {
      "target_name": "stemma",
      "sources": [
        "<!@(node -p \"['binding', 'runtime'].flatMap((d) => require('fs').readdirSync('native/' + d).filter((f) => f.endsWith('.cpp')).map((f) => 'native/' + d + '/' + f)).join(' ')\")"
      ],
      "defines": ["NAPI_VERSION=8"],
      "dependencies": ["kernels_portable"],
      "conditions": [
        ["target_arch=='x64'", {
          "defines": ["STEMMA_X64_VARIANTS"],
          "dependencies": ["kernels_avx2", "kernels_avx512", "kernels_avx512bf16"]
        }],
        ["target_arch=='x64' and OS=='linux'", {
          "defines": ["STEMMA_AMX_VARIANT"],
          "dependencies": ["kernels_avx512amx"]
        }],
        ["target_arch=='arm64' and OS=='linux'", {
          "defines": ["STEMMA_ARM64_VARIANTS"],
          "dependencies": ["kernels_dotprod"]
        }],
        ["OS=='linux'", { "libraries": ["-ldl", "-pthread"] }]
      ]
    },
    {
      "target_name": "kernels_portable",
      "type": "static_library",
      "sources": ["<@(kernel_sources)"],
      "defines": ["STEMMA_ISA=portable"]
    }
  ],
  "conditions": [
    ["target_arch=='arm64' and OS=='linux'", {
      "targets": [
        {
          # Apple's compiler knows that its processors have these products; portable code uses them there.
          "target_name": "kernels_dotprod",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEMMA_ISA=dotprod"],
          "cflags_cc": ["-march=armv8.2-a+dotprod"]
        }
      ]
    }],
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEMMA_ISA=avx2"],
          "variables": { "isa_flags": ["-mavx2", "-mfma", "-mf16c"] },
          "cflags_cc": ["<@(isa_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(isa_flags)"] }
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEMMA_ISA=avx512"],
          "variables": { "isa_flags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"] },
          "cflags_cc": ["<@(isa_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(isa_flags)"] }
        },
        {
          "target_name": "kernels_avx512bf16",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEMMA_ISA=avx512bf16"],
          "variables": {
            "isa_flags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx512bf16", "-mavx2", "-mfma", "-mf16c"]
          },
          "cflags_cc": ["<@(isa_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(isa_flags)"] }
        }
      ]
    }],
    ["target_arch=='x64' and OS=='linux'", {
      "targets": [
        {
          # The instructions of the matrix unit are written out (kernels/square.cpp), for they have no flag before GCC 11.
          "target_name": "kernels_avx512amx",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["STEMMA_ISA=avx512amx", "STEMMA_SQUARES"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx512bf16", "-mavx2", "-mfma", "-mf16c"]
        }
      ]
    }]
  ]
}
