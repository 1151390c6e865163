"""The detector's net on kernels of our own: C++ (`cpp/`) for processors with AVX512-VNNI or AVX512-BF16.

`plan` lays a net out as steps of the kernels, with weights from `filters`; `building` compiles the
kernels, `library` finds and loads them, `net` runs the plan on them.
"""
