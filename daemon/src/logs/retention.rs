//! Limits on the size of a role's log files, and which of them are removed. No I/O.

use std::{cmp::Reverse, collections::BTreeSet};

use cmsg_proto::Time;
use time::{format_description::BorrowedFormatItem, macros::format_description};

use super::stamp;

/// Limits on the log files of one role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    /// Maximum size of a file in bytes.
    pub(super) file: u64,
    /// Maximum size of all files in bytes.
    pub(super) all: u64,
    /// Maximum number of files.
    pub(super) count: usize,
}

/// A file in the log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// The size and number of the Connection Manager's files are the documented ones. Requests are logged
/// even without a logon, so anyone can cause lines, and 100 files of both roles fit into 2 GiB.
pub(super) const RETENTION: Retention = Retention { file: 25 << 20, all: 1 << 30, count: 100 };

const STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]_[month]_[day]T[hour]_[minute]_[second]_[subsecond digits:3]Z");

impl Retention {
    /// Whether the line requires a new file. An empty file accepts a line of any length.
    pub(super) fn is_full(self, file: u64, line: usize) -> bool {
        file > 0 && file.saturating_add(line as u64) > self.file
    }

    /// The role's files to remove, so that there is room for the current file and a full one: first
    /// those named later than the current one, which a wrong clock caused, then the oldest. Files
    /// with other names are never removed.
    pub(super) fn surplus(self, role: &str, current: &str, files: &[Entry]) -> Vec<String> {
        let is_old = |file: &&Entry| is_of(role, &file.name) && file.name != current;
        let mut old: Vec<&Entry> = files.iter().filter(is_old).collect();
        old.sort_by_key(|file| (file.name.as_str() > current, Reverse(&file.name)));
        let mut room = self.all.saturating_sub(self.file);
        let others = old.iter().take(self.count.saturating_sub(1));
        let stays = others.take_while(|file| {
            let left = room.checked_sub(file.bytes);
            room = left.unwrap_or_default();
            left.is_some()
        });
        let stays = stays.count();
        old[stays..].iter().rev().map(|file| file.name.clone()).collect()
    }
}

/// Smaller files stay as they are: compressed, they would save little.
const COMPRESSED: u64 = 1 << 20;

/// The role's files that are to be compressed, oldest first.
pub(super) fn uncompressed(role: &str, current: &str, files: &[Entry]) -> Vec<String> {
    let is_meant = |Entry { name, bytes }: &&Entry| {
        is_of(role, name) && !name.ends_with(GZIP) && name != current && *bytes >= COMPRESSED
    };
    let mut names: Vec<_> = files.iter().filter(is_meant).map(|file| file.name.clone()).collect();
    names.sort_unstable();
    names
}

/// Whether this is an incomplete compressed file of the role.
pub(super) fn is_incomplete(role: &str, name: &str) -> bool {
    name.strip_suffix(INCOMPLETE).is_some_and(|name| is_of(role, name))
}

/// Suffix of compressed files.
pub(super) const GZIP: &str = ".gz";

/// Suffix of a compressed file until it is complete.
pub(super) const INCOMPLETE: &str = ".gz.new";

/// The day of this time in UTC. Each has files of its own.
pub(super) fn day(time: Time) -> u64 {
    time.as_millis() / (24 * 60 * 60 * 1000)
}

/// The name of a file that is created at this time, in the vendor's format. Names sort by time.
pub(super) fn name(role: &str, begun: Time, number: u32) -> String {
    format!("{role}_{}{number:07}.log", stamp(begun, STAMP))
}

/// The number of the role's next file: one more than the largest existing one. 1 follows 9,999,999,
/// so the largest number is the one before the widest gap. The times in the names are ignored,
/// since a single wrong clock would repeat a number forever.
pub(super) fn next_number(role: &str, files: &[Entry]) -> u32 {
    let own = files.iter().filter(|file| is_of(role, &file.name));
    let numbers: BTreeSet<u32> = own.filter_map(|file| number(&file.name)).collect();
    let after = numbers.iter().skip(1).chain(numbers.first());
    let gap = |(number, after): &(&u32, &u32)| match **after > **number {
        true => *after - *number,
        false => *after + MAX_NUMBER - *number,
    };
    let last = numbers.iter().zip(after).max_by_key(gap);
    following(last.map_or(0, |(number, _)| *number))
}

fn number(name: &str) -> Option<u32> {
    let stem = name.strip_suffix(GZIP).unwrap_or(name).strip_suffix(".log")?;
    stem.rsplit('Z').next()?.parse().ok()
}

/// The number that follows this one.
pub(super) fn following(number: u32) -> u32 {
    if number < MAX_NUMBER { number + 1 } else { 1 }
}

/// Numbers have seven digits.
const MAX_NUMBER: u32 = 9_999_999;

/// Whether [`name`] creates such names for this role, compressed or not. Early builds wrote names
/// without a number.
fn is_of(role: &str, name: &str) -> bool {
    let name = name.strip_suffix(GZIP).unwrap_or(name);
    let stamp = name.strip_prefix(role).and_then(|rest| rest.strip_prefix('_'));
    let Some(stamp) = stamp.and_then(|rest| rest.strip_suffix(".log")) else { return false };
    ["0000_00_00T00_00_00_000Z", "0000_00_00T00_00_00_000Z0000000"].iter().any(|shape| {
        stamp.len() == shape.len()
            && stamp.bytes().zip(shape.bytes()).all(|(byte, expected)| match expected {
                b'0' => byte.is_ascii_digit(),
                _ => byte == expected,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Retention = Retention { file: 100, all: 400, count: 100 };

    fn entry(name: &str, bytes: u64) -> Entry {
        Entry { name: name.to_owned(), bytes }
    }

    fn at(second: u64) -> String {
        name("pcoip-sg", Time::from_millis(1_700_000_000_000 + second * 1000), 1)
    }

    #[test]
    fn a_file_is_full_before_it_exceeds_the_limit() {
        for (file, line, full) in [(0, 500, false), (90, 10, false), (90, 11, true), (101, 0, true)]
        {
            assert_eq!(SMALL.is_full(file, line), full, "{file} {line}");
        }
    }

    #[test]
    fn the_oldest_files_are_removed_until_a_full_one_fits() {
        let table: [(&[u64], &[u64]); 5] = [
            (&[100, 100, 100], &[]),
            (&[100, 100, 100, 100], &[0]),
            (&[10, 300, 1, 1], &[0, 1]),
            (&[1, 1, 1, 1, 1, 1, 1, 1], &[]),
            (&[1, 1, 5000], &[0, 1, 2]),
        ];
        for (sizes, gone) in table {
            let seconds = 0..;
            let mut files: Vec<_> = seconds.zip(sizes).map(|(s, b)| entry(&at(s), *b)).collect();
            let current = at(sizes.len() as u64);
            files.push(entry(&current, 0));
            files.reverse();

            let gone: Vec<_> = gone.iter().map(|second| at(*second)).collect();
            assert_eq!(SMALL.surplus("pcoip-sg", &current, &files), gone, "{sizes:?}");
        }
    }

    #[test]
    fn no_other_file_is_ever_removed() {
        let (own, current) = (at(1), at(2));
        let mut files = vec![entry(&own, 5000), entry(&current, 5000)];
        for other in [
            "pcoip-connmgr_2023_11_14T22_13_20_000Z.log",
            "pcoip-sg_2023_11_14T22_13_20_000Z.log.1.gz",
            "pcoip-sg_2023_11_14T22_13_20_000Z.gz",
            "pcoip-sg_2023_11_14T22_13_20_000Z.log.gz.new",
            "pcoip-sg_2023_11_14T22_13_20_000Z",
            "pcoip-sg_2023_11_14T22_13_20_000Z_.log",
            "pcoip-sg_2023_11_14T22_13_20_000Z000001.log",
            "pcoip-sg_2023_11_14T22_13_20_000Z00000012.log",
            "pcoip-sg_2023-11-14T22_13_20_000Z.log",
            "pcoip-sg_.log",
            "pcoip-sg.log",
            "supervise.log",
            "",
        ] {
            files.push(entry(other, 5000));
        }

        assert_eq!(SMALL.surplus("pcoip-sg", &current, &files), [own]);
    }

    #[test]
    fn the_oldest_files_beyond_the_number_are_removed() {
        let few = Retention { count: 3, ..SMALL };
        let mut files: Vec<_> = (1..=4).map(|second| entry(&at(second), 1)).collect();
        files[0].name += ".gz";

        assert_eq!(few.surplus("pcoip-sg", &at(5), &files), [at(1) + ".gz", at(2)]);
    }

    #[test]
    fn old_files_are_compressed_once() {
        let files = [at(3), at(1), at(2) + ".gz", at(4), at(5) + ".gz.new"];
        let mut files = files.map(|name| entry(&name, COMPRESSED)).to_vec();
        files.push(entry(&at(6), COMPRESSED - 1));

        assert_eq!(uncompressed("pcoip-sg", &at(4), &files), [at(1), at(3)]);
        assert!(is_incomplete("pcoip-sg", &files[4].name));
        for name in [at(1), at(1) + ".gz", at(1) + ".new", "x.log.gz.new".to_owned()] {
            assert!(!is_incomplete("pcoip-sg", &name), "{name}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let days = [1_700_006_399_999, 1_700_006_400_000].map(|ms| day(Time::from_millis(ms)));

        assert_eq!(days[1], days[0] + 1);
    }

    #[test]
    fn names_have_the_vendors_format() {
        let begun = Time::from_millis(1_700_000_000_123);

        assert_eq!(
            name("pcoip-connmgr", begun, 58),
            "pcoip-connmgr_2023_11_14T22_13_20_123Z0000058.log"
        );
    }

    #[test]
    fn files_from_the_future_are_removed_first() {
        let future = "pcoip-sg_2099_01_01T00_00_00_000Z0000002.log";
        let files = [entry(&at(1), 100), entry(&at(2), 100), entry(future, 150)];

        assert_eq!(SMALL.surplus("pcoip-sg", &at(3), &files), [future]);
        let full = [entry(&at(1), 200), entry(&at(2), 200), entry(future, 1)];
        assert_eq!(SMALL.surplus("pcoip-sg", &at(3), &full), [future, &at(1)]);
        let early = name("pcoip-sg", Time::from_millis(0), 9);
        assert_eq!(SMALL.surplus("pcoip-sg", &early, &full), [at(1)], "a clock that was reset");
    }

    #[test]
    fn numbering_continues_after_a_restart() {
        let table: [(&[&str], u32); 7] = [
            (&[], 1),
            (&["pcoip-sg_2023_11_14T22_13_20_000Z.log"], 1),
            (&["pcoip-sg_2023_11_14T22_13_20_000Z0000007.log.gz"], 8),
            (
                &[
                    "pcoip-sg_2023_11_14T22_13_20_000Z0000009.log",
                    "pcoip-sg_2023_11_15T22_13_20_000Z0000003.log",
                    "pcoip-connmgr_2023_11_16T22_13_20_000Z0000050.log",
                ],
                10,
            ),
            (
                &[
                    "pcoip-sg_2023_11_14T22_13_20_000Z0000007.log",
                    "pcoip-sg_2099_01_01T00_00_00_000Z0000006.log",
                ],
                8,
            ),
            (&["pcoip-sg_2023_11_14T22_13_20_000Z9999999.log"], 1),
            (
                &[
                    "pcoip-sg_2023_11_14T22_13_20_000Z9999998.log",
                    "pcoip-sg_2023_11_14T22_13_20_000Z9999999.log",
                    "pcoip-sg_2023_11_14T22_13_20_000Z0000001.log",
                ],
                2,
            ),
        ];
        for (names, number) in table {
            let files: Vec<_> = names.iter().map(|name| entry(name, 1)).collect();

            assert_eq!(next_number("pcoip-sg", &files), number, "{names:?}");
        }
    }

    #[test]
    fn files_without_a_number_are_removed_too() {
        let old = "pcoip-sg_2023_11_14T22_13_20_000Z.log";

        assert_eq!(SMALL.surplus("pcoip-sg", &at(2), &[entry(old, 5000)]), [old]);
    }
}
