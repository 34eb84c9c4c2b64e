//! The rounds of ChaCha20 (RFC 8439 §2.3) on eight blocks side by side, and beside them Poly1305 (§2.5) over another text:
//! the rounds leave the units for whole numbers idle, and there the hash takes no time of its own. In assembly: a compiler
//! does not mix the two, and for want of registers takes a quarter longer for the rounds alone.

use std::arch::asm;
use std::arch::x86_64::{__m256i, _mm256_add_epi32, _mm256_setzero_si256};
use std::mem::offset_of;

use zeroize::Zeroize as _;

use super::poly1305::{BLOCK, END, Poly1305};

/// Double rounds of ChaCha20.
const DOUBLE_ROUNDS: usize = 10;

/// Blocks that are hashed beside a double round, with no time of their own. The sum of four ends after the rounds.
const BESIDE: usize = 3;

/// Bytes in each lane that a word rotated by 16, and by 8, takes its own from.
const ROTATE_16: [u8; 32] = rotation([2, 3, 0, 1]);
const ROTATE_8: [u8; 32] = rotation([3, 0, 1, 2]);

/// What the assembly works on, from one pointer.
#[repr(C, align(32))]
pub(super) struct Work {
    /// What the rounds begin with: 16 words, a vector each; a lane is a block.
    pub(super) before: [__m256i; 16],
    /// Words c, while others are at work.
    third: [__m256i; 4],
    rotate_16: [u8; 32],
    rotate_8: [u8; 32],
    pub(super) hash: Poly1305,
    /// What of a text is hashed last.
    pub(super) end: [u8; END * BLOCK],
    /// Double rounds that hash four blocks, then those that hash three, whether one that hashes `end` follows, and those that
    /// hash nothing.
    fours: u64,
    threes: u64,
    ends: u64,
    plain: u64,
}

const _: () = assert!(END == BESIDE, "one double round hashes it");

const _: () = assert!(offset_of!(Work, before) == 0 && size_of::<__m256i>() == 32, "as the assembly has it");

impl Work {
    #[target_feature(enable = "avx2")]
    pub(super) fn new() -> Self {
        let zero = _mm256_setzero_si256();
        let (hash, end) = (Poly1305::default(), [0; END * BLOCK]);
        let (rotate_16, rotate_8) = (ROTATE_16, ROTATE_8);
        Self {
            before: [zero; 16],
            third: [zero; 4],
            rotate_16,
            rotate_8,
            hash,
            end,
            fours: 0,
            threes: 0,
            ends: 0,
            plain: 0,
        }
    }

    /// The stream that `before` gives, 16 words of it. Beside that `text` is hashed, of whole blocks, and `end` if `ends`.
    #[target_feature(enable = "avx2,bmi2")]
    #[inline]
    pub(super) fn rounds(&mut self, text: &[u8], ends: bool) -> [__m256i; 16] {
        let (rounds_left, blocks) = (DOUBLE_ROUNDS - usize::from(ends), text.len() / BLOCK);
        // As many fours as there must be that threes make up the rest, and that there are rounds enough. Of one, two or five
        // blocks some have no place, nor those of which there are too many.
        let fours = (blocks % BESIDE).max(blocks.saturating_sub(BESIDE * rounds_left)).min(rounds_left).min(blocks / 4);
        let threes = ((blocks - 4 * fours) / BESIDE).min(rounds_left - fours);
        let (alone, text) = text.split_at((blocks - 4 * fours - BESIDE * threes) * BLOCK);
        self.hash.blocks(alone);
        self.fours = fours as u64;
        self.threes = threes as u64;
        self.ends = u64::from(ends);
        self.plain = (rounds_left - fours - threes) as u64;
        // SAFETY: `text` has the blocks of `fours` and `threes`.
        unsafe { rounds(self, text.as_ptr()) }
    }

    /// Hashes whole blocks, and `end`, with nothing beside.
    #[target_feature(enable = "avx2,bmi2")]
    pub(super) fn hash_last(&mut self, text: &[u8]) {
        self.hash.blocks(text);
        self.hash.blocks(&self.end);
    }
}

impl Drop for Work {
    /// The rounds can be run backwards: what they end with is as good as the key that they began with.
    fn drop(&mut self) {
        self.before.zeroize();
        self.third.zeroize();
    }
}

const fn rotation(word: [u8; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < bytes.len() {
        // Within each half of the vector.
        bytes[at] = (at % 16 / 4 * 4) as u8 + word[at % 4];
        at += 1;
    }
    bytes
}

macro_rules! load {
    ($offset:literal to $register:literal) => {
        concat!("vmovdqa ymm", $register, ", ymmword ptr [{work} + ", $offset, "]\n")
    };
}

macro_rules! store {
    ($register:literal to $offset:literal) => {
        concat!("vmovdqa ymmword ptr [{work} + ", $offset, "], ymm", $register, "\n")
    };
}

/// Two quarter rounds side by side, each on the registers of its words a, b, c and d; ymm14 and ymm15 are free.
macro_rules! quarter_rounds {
    ($first:tt $second:tt) => {
        concat!(
            half!([$first "14", $second "15"], "{rotate_16}", "12", "20"),
            half!([$first "14", $second "15"], "{rotate_8}", "7", "25"),
        )
    };
}

/// a += b; d ^= a, rotated as the bytes at `$rotation` say; c += d; b ^= c, rotated by `$left` bits.
macro_rules! half {
    ([$(($a:literal $b:literal $c:literal $d:literal) $free:literal),+], $rotation:literal, $left:literal, $right:literal) => {
        concat!(
            $("vpaddd ymm", $a, ", ymm", $a, ", ymm", $b, "\n",)+
            $("vpxor ymm", $d, ", ymm", $d, ", ymm", $a, "\n",)+
            $("vpshufb ymm", $d, ", ymm", $d, ", ymmword ptr [{work} + ", $rotation, "]\n",)+
            $("vpaddd ymm", $c, ", ymm", $c, ", ymm", $d, "\n",)+
            $("vpxor ymm", $b, ", ymm", $b, ", ymm", $c, "\n",)+
            $("vpslld ymm", $free, ", ymm", $b, ", ", $left, "\n",)+
            $("vpsrld ymm", $b, ", ymm", $b, ", ", $right, "\n",)+
            $("vpor ymm", $b, ", ymm", $b, ", ymm", $free, "\n",)+
        )
    };
}

/// Adds what is there.
macro_rules! add {
    ($offset:literal to $register:literal) => {
        concat!("vpaddd ymm", $register, ", ymm", $register, ", ymmword ptr [{work} + ", $offset, "]\n")
    };
}

/// A round down the columns and one along the diagonals (RFC 8439 §2.3), and four pieces of something else among them.
/// Words a are in ymm0 to ymm3, b in ymm4 to ymm7, d in ymm8 to ymm11. Of c there are the two that are at work, in ymm12
/// and ymm13, before and after it the first two: 16 registers are two too few. All four quarter rounds at once, with c in
/// memory, take a seventeenth more (AMD Zen 3).
macro_rules! double_round {
    ($first:expr, $second:expr, $third:expr, $fourth:expr) => {
        concat!(
            quarter_rounds!(("0" "4" "12" "8") ("1" "5" "13" "9")),
            $first,
            store!("12" to "{third}"), store!("13" to "{third} + 32"), load!("{third} + 64" to "12"), load!("{third} + 96" to "13"),
            quarter_rounds!(("2" "6" "12" "10") ("3" "7" "13" "11")),
            $second,
            quarter_rounds!(("0" "5" "12" "11") ("1" "6" "13" "8")),
            $third,
            store!("12" to "{third} + 64"), store!("13" to "{third} + 96"), load!("{third}" to "12"), load!("{third} + 32" to "13"),
            quarter_rounds!(("2" "7" "12" "9") ("3" "4" "13" "10")),
            $fourth,
        )
    };
}

/// h = (h + block) r, as [`Poly1305::block`] does it.
macro_rules! hash_block {
    ($offset:literal) => {
        concat!(
            "add {h0}, qword ptr [{text} + ",
            $offset,
            "]\n",
            "adc {h1}, qword ptr [{text} + ",
            $offset,
            " + 8]\n",
            "adc {h2}, 1\n",
            "mov rdx, {h0}\n",
            "mulx {high0}, {low0}, qword ptr [{work} + {r}]\n",
            "mulx {high1}, {low1}, qword ptr [{work} + {r} + 8]\n",
            "mov rdx, {h1}\n",
            "mulx {t1}, {t0}, qword ptr [{work} + {s}]\n",
            "add {low0}, {t0}\n",
            "adc {high0}, {t1}\n",
            "mulx {t1}, {t0}, qword ptr [{work} + {r}]\n",
            "add {low1}, {t0}\n",
            "adc {high1}, {t1}\n",
            "mov {t0}, {h2}\n",
            "imul {t0}, qword ptr [{work} + {s}]\n",
            "add {low1}, {t0}\n",
            "adc {high1}, 0\n",
            "imul {h2}, qword ptr [{work} + {r}]\n",
            "add {low1}, {high0}\n",
            "adc {h2}, {high1}\n",
            "mov {h1}, {low1}\n",
            "mov {t0}, {h2}\n",
            "and {t0}, -4\n",
            "mov {t1}, {h2}\n",
            "shr {t1}, 2\n",
            "and {h2}, 3\n",
            "add {t0}, {t1}\n",
            "mov {h0}, {low0}\n",
            "add {h0}, {t0}\n",
            "adc {h1}, 0\n",
            "adc {h2}, 0\n",
        )
    };
}

/// # Safety
///
/// `text` is the beginning of as many blocks as `work` says that are hashed.
#[target_feature(enable = "avx2,bmi2")]
#[inline]
unsafe fn rounds(work: &mut Work, text: *const u8) -> [__m256i; 16] {
    let mut words = [_mm256_setzero_si256(); 16];
    // SAFETY: it reads and writes within `work`, which is aligned as its moves ask for, and reads as much of `text` as the
    // caller grants. It pushes nothing, and all registers that it changes are named.
    unsafe {
        asm!(
            concat!(
                load!("0" to "0"), load!("32" to "1"), load!("64" to "2"), load!("96" to "3"),
                load!("128" to "4"), load!("160" to "5"), load!("192" to "6"), load!("224" to "7"),
                load!("384" to "8"), load!("416" to "9"), load!("448" to "10"), load!("480" to "11"),
                load!("320" to "12"), load!("352" to "13"),
                store!("12" to "{third} + 64"), store!("13" to "{third} + 96"),
                load!("256" to "12"), load!("288" to "13"),
                "mov {h0}, qword ptr [{work} + {h}]\n",
                "mov {h1}, qword ptr [{work} + {h} + 8]\n",
                "mov {h2}, qword ptr [{work} + {h} + 16]\n",
                "cmp qword ptr [{work} + {fours}], 0\n",
                "je 3f\n",
                ".p2align 5\n",
                "2:\n",
                double_round!(hash_block!("0"), hash_block!("16"), hash_block!("32"), hash_block!("48")),
                "add {text}, 64\n",
                "dec qword ptr [{work} + {fours}]\n",
                "jnz 2b\n",
                "3:\n",
                "cmp qword ptr [{work} + {threes}], 0\n",
                "je 5f\n",
                ".p2align 5\n",
                "4:\n",
                double_round!(hash_block!("0"), hash_block!("16"), hash_block!("32"), "add {text}, 48\n"),
                "dec qword ptr [{work} + {threes}]\n",
                "jnz 4b\n",
                "5:\n",
                "dec qword ptr [{work} + {ends}]\n",
                "js 6f\n",
                "lea {text}, [{work} + {end}]\n",
                "mov qword ptr [{work} + {threes}], 1\n",
                "jmp 4b\n",
                "6:\n",
                "cmp qword ptr [{work} + {plain}], 0\n",
                "je 8f\n",
                ".p2align 5\n",
                "7:\n",
                double_round!("", "", "", ""),
                "dec qword ptr [{work} + {plain}]\n",
                "jnz 7b\n",
                "8:\n",
                "mov qword ptr [{work} + {h}], {h0}\n",
                "mov qword ptr [{work} + {h} + 8], {h1}\n",
                "mov qword ptr [{work} + {h} + 16], {h2}\n",
                add!("0" to "0"), add!("32" to "1"), add!("64" to "2"), add!("96" to "3"),
                add!("128" to "4"), add!("160" to "5"), add!("192" to "6"), add!("224" to "7"),
                add!("384" to "8"), add!("416" to "9"), add!("448" to "10"), add!("480" to "11"),
                add!("256" to "12"), add!("288" to "13"),
            ),
            work = in(reg) std::ptr::from_mut(work),
            text = inout(reg) text => _,
            h0 = out(reg) _,
            h1 = out(reg) _,
            h2 = out(reg) _,
            low0 = out(reg) _,
            high0 = out(reg) _,
            low1 = out(reg) _,
            high1 = out(reg) _,
            t0 = out(reg) _,
            t1 = out(reg) _,
            third = const offset_of!(Work, third),
            rotate_16 = const offset_of!(Work, rotate_16),
            rotate_8 = const offset_of!(Work, rotate_8),
            r = const offset_of!(Work, hash.r),
            s = const offset_of!(Work, hash.s),
            h = const offset_of!(Work, hash.h),
            end = const offset_of!(Work, end),
            fours = const offset_of!(Work, fours),
            threes = const offset_of!(Work, threes),
            ends = const offset_of!(Work, ends),
            plain = const offset_of!(Work, plain),
            out("rdx") _,
            out("ymm0") words[0], out("ymm1") words[1], out("ymm2") words[2], out("ymm3") words[3],
            out("ymm4") words[4], out("ymm5") words[5], out("ymm6") words[6], out("ymm7") words[7],
            out("ymm12") words[8], out("ymm13") words[9], out("ymm14") _, out("ymm15") _,
            out("ymm8") words[12], out("ymm9") words[13], out("ymm10") words[14], out("ymm11") words[15],
            options(nostack),
        );
    }
    words[10] = _mm256_add_epi32(work.third[2], work.before[10]);
    words[11] = _mm256_add_epi32(work.third[3], work.before[11]);
    words
}
