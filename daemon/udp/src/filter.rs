//! A filter in the kernel for floods: datagrams from unexpected addresses are dropped before they wake
//! or fill the socket. It needs no privileges (`SO_ATTACH_FILTER`, see `socket(7)`).
//!
//! The program contains a bitmap of hashed addresses. An address that is not in the set may have the
//! bit of one that is, so the filter is not a decision: it only keeps most of a flood away.

use std::net::IpAddr;

use nix::libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD,
    BPF_MEM, BPF_MISC, BPF_MUL, BPF_RET, BPF_RSH, BPF_ST, BPF_TAX, BPF_W, BPF_X, BPF_XOR,
    SKF_NET_OFF,
};
use socket2::SockFilter;

/// Source addresses whose datagrams are received.
#[derive(Debug, Clone)]
pub struct SourceFilter {
    /// Makes the bits of addresses unpredictable for strangers.
    secret: u32,
    words: Box<[u32; WORDS]>,
}

/// Length of the bitmap in bits: as long as a program can contain.
const BITS: usize = 16_384;
const WORDS: usize = BITS / 32;

/// Odd numbers, which spread the bits of an address over a product.
const FACTORS: [u32; 4] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f];

/// Shift from a hash to the index of a bit.
const SHIFT: u32 = 32 - BITS.trailing_zeros();

/// Offsets in the headers of IPv4 (RFC 791, section 3.1) and IPv6 (RFC 8200, section 3).
const IPV4_SOURCE: u32 = 12;
const IPV6_SOURCE: u32 = 8;

impl SourceFilter {
    /// A filter that drops everything; `secret` is a random number.
    #[must_use]
    pub fn new(secret: u32) -> Self {
        Self { secret, words: Box::new([0; WORDS]) }
    }

    /// Adds an address. Returns whether this changes the filter.
    pub fn insert(&mut self, ip: IpAddr) -> bool {
        let bit = self.bit(ip.to_canonical());
        let word = &mut self.words[bit / 32];
        let before = *word;
        *word |= 1 << (bit % 32);
        *word != before
    }

    fn bit(&self, ip: IpAddr) -> usize {
        let folded = match ip {
            IpAddr::V4(v4) => v4.to_bits(),
            IpAddr::V6(v6) => {
                let octets = v6.octets();
                let mut words = octets
                    .chunks(4)
                    .map(|word| word.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)));
                let first = words.next().unwrap_or_default();
                words
                    .zip(FACTORS)
                    .fold(first, |hash, (word, factor)| hash.wrapping_mul(factor) ^ word)
            }
        };
        ((folded ^ self.secret).wrapping_mul(FACTORS[3]) >> SHIFT) as usize
    }

    /// The classic BPF program. It computes the bit of the source address as [`SourceFilter::bit`]
    /// does, and finds its word by bisection, since a program cannot read an array.
    pub(crate) fn program(&self) -> Vec<SockFilter> {
        let mut code = Code::default();
        // What is neither IPv4 nor IPv6 is received.
        code.load(BPF_B, 0);
        code.alu(BPF_RSH, 4);
        let mut v6 = Code::default();
        v6.fold_v6();
        // Behind the IPv6 address, the one instruction for IPv4 is skipped.
        v6.jump(1);
        code.push(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 4);
        code.jump(2 + v6.0.len());
        code.push(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 6);
        code.push(BPF_RET | BPF_K, 0, 0, ALL);
        code.0.append(&mut v6.0);
        code.load(BPF_W, IPV4_SOURCE);
        code.alu(BPF_XOR, self.secret);
        code.alu(BPF_MUL, FACTORS[3]);
        code.alu(BPF_RSH, SHIFT);
        code.push(BPF_ST, 0, 0, 0);
        code.alu(BPF_AND, 31);
        code.push(BPF_MISC | BPF_TAX, 0, 0, 0);
        code.push(BPF_LD | BPF_MEM, 0, 0, 0);
        code.alu(BPF_RSH, 5);
        code.search(&self.words[..], 0, 0);
        code.push(BPF_ALU | BPF_RSH | BPF_X, 0, 0, 0);
        code.alu(BPF_AND, 1);
        code.push(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        code.push(BPF_RET | BPF_K, 0, 0, 0);
        code.push(BPF_RET | BPF_K, 0, 0, ALL);
        code.0
    }
}

/// The result for a datagram that is received: all of its bytes.
const ALL: u32 = u32::MAX;

/// A program that is being written.
#[derive(Default)]
struct Code(Vec<SockFilter>);

impl Code {
    fn push(&mut self, code: u32, if_true: u8, if_false: u8, operand: u32) {
        let code = u16::try_from(code).unwrap_or_default();
        self.0.push(SockFilter::new(code, if_true, if_false, operand));
    }

    fn load(&mut self, size: u32, offset: u32) {
        let start = u32::from_ne_bytes(SKF_NET_OFF.to_ne_bytes());
        self.push(BPF_LD | size | BPF_ABS, 0, 0, start + offset);
    }

    fn alu(&mut self, operation: u32, operand: u32) {
        self.push(BPF_ALU | operation | BPF_K, 0, 0, operand);
    }

    /// Skips this number of instructions.
    fn jump(&mut self, over: usize) {
        self.push(BPF_JMP | BPF_JA, 0, 0, u32::try_from(over).unwrap_or_default());
    }

    /// Folds an IPv6 source address to one word.
    fn fold_v6(&mut self) {
        self.load(BPF_W, IPV6_SOURCE);
        for (offset, factor) in [4, 8, 12].into_iter().zip(FACTORS) {
            self.alu(BPF_MUL, factor);
            self.push(BPF_MISC | BPF_TAX, 0, 0, 0);
            self.load(BPF_W, IPV6_SOURCE + offset);
            self.push(BPF_ALU | BPF_XOR | BPF_X, 0, 0, 0);
        }
    }

    /// Loads the word whose index is in the accumulator. `first` is the index of the first of these
    /// words, and `behind` the number of instructions between these and the end of the search.
    fn search(&mut self, words: &[u32], first: usize, behind: usize) {
        if let [word] = words {
            self.push(BPF_LD | BPF_IMM, 0, 0, *word);
            return self.jump(behind);
        }
        let (low, high) = words.split_at(words.len() / 2);
        let middle = first + low.len();
        self.push(BPF_JMP | BPF_JGE | BPF_K, 0, 1, u32::try_from(middle).unwrap_or_default());
        self.jump(search_length(low.len()));
        self.search(low, first, search_length(high.len()) + behind);
        self.search(high, middle, behind);
    }
}

/// Number of instructions of a search among so many words: two for a word, and two for a branch.
const fn search_length(words: usize) -> usize {
    4 * words - 2
}

#[cfg(test)]
mod tests;
