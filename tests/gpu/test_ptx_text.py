"""Taking PTX apart; and what is not known is refused by name and line, never guessed."""

from __future__ import annotations

import re

import pytest

from minicnn.kernels.ptx.opcodes import TABLE, find
from minicnn.kernels.ptx.parse import Instruction, Label, Location, Registers, Scope, Unsupported, Variable, parse
from minicnn.kernels.ptx.translate import dynamic_names, translate
from minicnn.kernels.sim import CompileError

pytestmark = pytest.mark.no_compiler

TEXT = """
.version 8.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 room[];  // its size comes with the launch
.const .align 4 .f32 weights[2] = {0f3F800000, 0fC0000000};
.visible .entry k(
    .param .u64 .ptr .align 1 k_0, /* a
    comment */ .param .u32 k_1
)
.maxntid 128, 1, 1
{
    .reg .pred %p<2>;
    .reg .b32 %r<3>, %x;
    .loc 1 7 5
    { .reg .b32 %temp; mov.b64 {%temp, %r1}, %rd1; }
$L_1: @!%p1 bra.uni $L_1;
    .pragma "nounroll";
    st.shared.v2.f32 [%r1+-8], {%x, 0f3F800000};
    ret;
}
.file 1 "/somewhere/k.cu"
"""


def test_parts():
    """Variables, the head of a function, and its statements with their lines."""
    program = parse(TEXT)
    assert program.files == {1: "/somewhere/k.cu"}
    room, weights = program.variables
    assert room == Variable("shared", "b8", "room", 16, 0, external=True)
    assert weights == Variable("const", "f32", "weights", 4, 8, "{0f3F800000, 0fC0000000}")
    (k,) = program.functions
    assert (k.name, k.entry, [(p.name, p.bytes) for p in k.parameters]) == ("k", True, [("k_0", 8), ("k_1", 4)])
    assert k.body == [
        Registers("pred", ("%p0", "%p1")),
        Registers("b32", ("%r0", "%r1", "%r2", "%x")),
        Location(1, 7),
        Scope(True),
        Registers("b32", ("%temp",)),
        Instruction(16, "mov.b64", ("{%temp, %r1}", "%rd1")),
        Scope(False),
        Label("$L_1"),
        Instruction(17, "bra.uni", ("$L_1",), "!%p1"),
        Instruction(19, "st.shared.v2.f32", ("[%r1+-8]", "{%x, 0f3F800000}")),
        Instruction(20, "ret"),
    ]
    assert dynamic_names(TEXT) == ("room",)


def kernel(*lines: str, parameters: str = ".param .u64 k_0") -> str:
    """A kernel with registers of all kinds; the first of the lines is line 9 of the text."""
    begin = f""".version 8.0
.target sm_80
.address_size 64
.visible .entry k({parameters})
{{
.reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .b64 %rd<9>; .reg .f64 %d<9>;
.reg .b64 %q<3>;

"""
    return begin + "\n".join(lines) + "\nret;\n}\n"


@pytest.mark.parametrize(
    "line, named",
    [
        ("wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r1}, [%rd1];", "wmma.load.a.sync"),
        ("cp.async.ca.shared.global [%r1], [%rd1], 16;", "cp.async.ca.shared.global"),
        ("add.rn.f16x2 %r1, %r2, %r3;", "add.rn.f16x2"),
        ("add.huge.f32 %f1, %f2, %f3;", "add.huge.f32"),
        ("ld.acquire.gpu.global.u32 %r1, [%rd1];", "ld.acquire.gpu.global.u32 is not known (.acquire)"),
        ("tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [t, {%f1, %f2}];", "tex.2d"),
        ("brx.idx %r1, table;", "brx.idx"),
        ("fence.proxy.async;", "fence.proxy.async is not known (.proxy)"),
        ("bar.sync 1;", "bar.sync 1: only barrier 0 is known"),
        ("bar.arrive 0, 64;", "bar.arrive"),
        ("barrier.cluster.arrive;", "barrier.cluster.arrive"),
        ("match.some.sync.b32 %r1, %r2, -1;", "match.some.sync.b32"),
        ("redux.sync.add.b32 %r1, %r2, -1;", "redux.sync.add.b32"),
        ("vote.sync.uni.pred %p1, %p2, -1;", "vote.sync.uni.pred"),
        ("atom.global.add.noftz.f16 %h1, [%rd1], %h2;", "atom.global.add.noftz.f16"),
        ("atom.global.min.f32 %f1, [%rd1], %f2;", "atom.global.min.f32"),
        ("cvt.rn.bf16.f32 %h1, %f1;", "cvt.rn.bf16.f32 is not known (.bf16)"),
        ("cvt.s32.f32 %r1, %f1;", "cvt.s32.f32"),
        ("setp.lt.and.s32 %p1, %r1, %r2;", "setp.lt.and.s32"),
        ("setp.lt.ftz.f16 %p1, %h1, %h2;", "setp.lt.ftz.f16"),
        ("mov.u32 %r1, %clock;", "%clock"),
        ("mov.u32 %r1, nowhere;", "nowhere"),
        ("add.s32 %r1, %r2, %r99;", "%r99 is neither declared nor a special register"),
        ("add.s32 %r1, %r2;", "add.s32 %r1, %r2 has 1 operands instead of 2"),
        ("mov.f32 %f1, 1.5;", "the constant 1.5"),
        ("mov.f32 %f1, 0d3FF0000000000000;", "the constant 0d3FF0000000000000 of type .f32"),
        ("ld.global.u32 %r1, [%rd1*4];", "[%rd1*4]"),
        ("ld.param.u32 %r1, [elsewhere];", "elsewhere"),
        ("call.uni (%rd1), printf, (%rd2);", "printf"),
        (".local .align 4 .b128 x[2];", ".b128"),
        (".reg .b128 %w<2>;", ".b128"),
        ("bra $nowhere;", "$nowhere"),
        ("ADD %r1;", "ADD %r1"),
        ("@%p1 { ret; }", "no instruction"),
        ("mad.lo.cc.u16 %h1, %h2, %h3, %h4;", "mad.lo.cc.u16"),
        ("addc.hi.u32 %r1, %r2, %r3;", "addc.hi.u32"),
        ("ld.global.v4.f64 {%d1, %d2, %d3, %d4}, [%rd1];", "at most 16 bytes"),
        ("shfl.down.b32 %r1, %r2, 1, 31;", "shfl.down.b32"),
    ],
)
def test_refused_by_name_and_line(line, named):
    """An instruction, a word in it, a type, an operand that is not known: the message has it, and the line."""
    with pytest.raises(Unsupported, match=re.escape(named)) as caught:
        translate(kernel(line), "k.cu")
    assert caught.value.line == 9 and "PTX line 9: " in str(caught.value)
    assert isinstance(caught.value, CompileError)


@pytest.mark.parametrize(
    "text, said",
    [
        (".visible .entry k(.param .u64 p) { ret;", "a brace is not closed"),
        (".visible .entry k(.param .u64 p) { ret }", "a statement does not end: 'ret'"),
        (".global .texref t;", "a declaration that is not known: '.global .texref t'"),
        (".global .align 4 .b8 x[4]", "a declaration does not end"),
        (".alias f, g;", "a declaration that is not known: '.alias f, g'"),
        (".visible .entry (", "the head of a function is not understood"),
        (".extern .global .align 4 .u32 x;", "x is declared as .extern"),
        (".global .align 8 .u64 x = generic(y);", "the initial value generic(y) of x"),
        (".func (.param .b32 a, .param .b32 b) f() { ret; }", "f returns 2 values"),
    ],
)
def test_declarations_that_are_refused(text, said):
    """So are declarations."""
    with pytest.raises(Unsupported, match=re.escape(said)):
        translate(text, "k.cu")


def test_exit_in_a_function_is_refused():
    """It would end the thread from within a call."""
    text = ".func f() { exit; }\n" + kernel("call.uni f;")
    with pytest.raises(Unsupported, match="exit in a function that is called"):
        translate(text, "k.cu")


def test_the_table_says_no_name_twice():
    """One row for an opcode and a type; and each row is found under its own name."""
    keys = [(row.opcode, type_) for row in TABLE for type_ in row.types.split()]
    assert len(keys) == len(set(keys)) > 300
    for row in TABLE:
        for type_ in row.types.split():
            assert find(f"{row.opcode}.{type_}") == (row, type_, frozenset())
            for word in row.words.split():
                found = find(f"{row.opcode}.{word}.{type_}")
                assert found is not None and found[0].opcode.startswith(row.opcode)
