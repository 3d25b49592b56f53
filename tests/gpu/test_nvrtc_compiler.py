"""NVIDIA's compiler without CuPy and without a GPU: options, messages, and what there is if it is not installed."""

from __future__ import annotations

import pytest

from minicnn.kernels.nvrtc import compiler, library

COPY = "template <typename T> __global__ void copy(const T* x, T* y) { y[threadIdx.x] = x[threadIdx.x]; }\n"


def test_cubin_ptx_and_names():
    """Machine code, PTX and the kernel's name in both, for the architecture that was asked for."""
    found = compiler.compile(COPY, "copy.cu", ["copy<float>", "copy<double>"], "sm_86")
    assert found.cubin.startswith(b"\x7fELF") and ".target sm_86" in found.ptx
    for name in ("copy<float>", "copy<double>"):
        assert f".entry {found.names[name]}(" in found.ptx and found.names[name].encode() in found.cubin
        assert 0 < found.resources[name].registers < 32


def test_options_are_cupys_own():
    """CuPy compiles with exactly our options, but for folders of headers: seen where CuPy calls its compiler."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
    from cupy.cuda import compiler as theirs

    class CalledError(Exception):
        """CuPy's compiler was called for the text itself."""

    class Recorder:
        def __init__(self, text, *args, **keywords):
            self.text = text

        def compile(self, options, log_stream=None):
            if self.text == COPY:
                raise CalledError(options)
            return b"", None  # an empty text, of which CuPy wants to know with which version it was compiled

    with pytest.MonkeyPatch.context() as patch:  # which GPU there is, CuPy asks the driver
        patch.setattr(theirs, "_NVRTCProgram", Recorder)
        patch.setattr(theirs, "_get_arch_for_options_for_nvrtc", lambda arch=None: (f"-arch=sm_{arch}", "cubin"))
        options = cupy._core.core.assemble_cupy_compiler_options(("--std=c++17",))  # as the launcher gives it
        with pytest.raises(CalledError) as caught:
            theirs._compile_module_with_cache(COPY, options, arch="90", name_expressions=("copy<float>",))
    given = {option for option in caught.value.args[0] if not option.startswith("-I")}
    assert given == {*compiler.CUPY, "-arch=sm_90"}


def test_ftz_is_on():
    """As with CuPy, float32 numbers below 1.2e-38 count as 0: the option arrives."""
    text = 'extern "C" __global__ void half_of(float* x) { x[0] = x[0] * 0.5f; }'
    assert "mul.ftz.f32" in compiler.compile(text, "a.cu", ["half_of"], "sm_90").ptx
    assert "mul.f32" in compiler.compile(text, "a.cu", ["half_of"], "sm_90", options=("--std=c++17",)).ptx


@pytest.mark.parametrize("first", ["", '#line 1 "mine.cu"\n'])
def test_error_names_file_and_line(first):
    """An error carries the file, the line and NVRTC's words; also where the text says what it is called."""
    with pytest.raises(compiler.CompileError, match=r"does not compile for sm_80:\n.*identifier \"z\"") as caught:
        compiler.compile(
            first + '\nextern "C" __global__ void f(float* x)\n{\n    x[0] = z;\n}', "a.cu", ["f"], "sm_80"
        )
    assert (caught.value.file, caught.value.line) == ("mine.cu" if first else "a.cu", 4)


@pytest.mark.parametrize(
    "line, said",
    [
        ("__device__ float g(float x) { int unused = 3; return x; }", "never referenced"),
        ("__device__ float g(float x) { if (x > 0) return x; }", "missing return statement"),
    ],
)
def test_a_warning_is_an_error(line, said):
    """What NVRTC warns of is mended, not read past."""
    text = f'\n{line}\nextern "C" __global__ void f(float* x) {{ x[0] = g(x[0]); }}'
    with pytest.raises(compiler.CompileError, match=said) as caught:
        compiler.compile(text, "a.cu", ["f"], "sm_90")
    assert caught.value.line == 2


def test_names_with_error_in_them():
    """A kernel may be called `error` or `warning`."""
    text = 'extern "C" __global__ void error(float* x) { x[0] = 1; }'
    assert compiler.compile(text, "warning.cu", ["error"], "sm_90").resources


def test_missing_kernel():
    """A kernel that the text does not have is an error that names it."""
    with pytest.raises(compiler.CompileError, match="nothing_of_this_name"):
        compiler.compile(COPY, "copy.cu", ["nothing_of_this_name"], "sm_90")


def test_unknown_architecture():
    """The message lists those that there are: CUDA 13 compiles for 7.5 and later."""
    with pytest.raises(ValueError, match=r"does not compile for 'sm_70'; it does for sm_75, sm_80, "):
        compiler.compile(COPY, "copy.cu", ["copy<float>"], "sm_70")


def test_headers_of_cuda():
    """A text may include CUDA's own headers, where they are installed."""
    text = '#include <cuda_fp16.h>\nextern "C" __global__ void f(__half* x) { x[0] = __hadd(x[0], x[1]); }'
    if library.headers() is None:
        pytest.skip("nvidia-cuda-runtime is not installed")
    assert "add.f16" in compiler.compile(text, "a.cu", ["f"], "sm_90").ptx


@pytest.mark.no_compiler
def test_without_nvrtc(monkeypatch, tmp_path):
    """One sentence says which extra brings it; a library that is none is said to be one."""
    monkeypatch.setattr(library, "_folders", lambda: [tmp_path])
    library.load.cache_clear()
    try:
        with pytest.raises(library.CompilerUnavailable, match=r"pip install 'minicnn-from-scratch\[nvrtc\]'"):
            compiler.compile(COPY, "copy.cu", ["copy<float>"], "sm_90")
        (tmp_path / "cu99/lib").mkdir(parents=True)
        (tmp_path / "cu99/lib/libnvrtc.so.99").write_text("no library")
        with pytest.raises(library.CompilerUnavailable, match=r"libnvrtc.so.99 cannot be loaded.*install .* again"):
            library.load()
        monkeypatch.setattr("sys.platform", "darwin")
        assert "on Linux only, and this is darwin" in library.why_not()
    finally:
        library.load.cache_clear()


@pytest.mark.no_compiler
def test_newest_of_several(monkeypatch, tmp_path):
    """Of CUDA 12's and 13's package, which may lie side by side, 13's is taken."""
    for name in ("cuda_nvrtc/lib/libnvrtc.so.12", "cu13/lib/libnvrtc.so.13", "cu9/lib/libnvrtc.so.9"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(library, "_folders", lambda: [tmp_path])
    assert library._newest().name == "libnvrtc.so.13"
