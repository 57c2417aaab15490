//! A source of 100,000 files and 2 GB, the same each time.

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};

use crate::site::fixtures;

const FILES: usize = 100_000;
const A_DIRECTORY: usize = 50;

/// Sizes are log-normal: half of them below this many bytes.
const MEDIAN: f64 = 4_000.0;
const SIGMA: f64 = 1.8;
const LARGEST: usize = 20_000_000;

/// Numbers that look random, by Marsaglia's xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Above 0, at most 1.
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn size(&mut self) -> usize {
        // Box and Muller's way to a normal distribution.
        let normal = (-2.0 * self.share().ln()).sqrt() * (TAU * self.share()).cos();
        ((MEDIAN * (SIGMA * normal).exp()) as usize).min(LARGEST)
    }
}

/// Makes the tree.
pub fn plant(tree: &Path) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let noise: Vec<u8> = std::iter::repeat_with(|| numbers.next().to_le_bytes()).take(LARGEST / 4).flatten().collect();
    let mut total = 0;
    for number in 0..FILES - 1 {
        let (file, size) = (file(tree, number), numbers.size());
        if number % A_DIRECTORY == 0 {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        let from = numbers.next() as usize % (noise.len() - size);
        fs::write(file, &noise[from..from + size]).unwrap();
        total += size;
    }
    fs::copy(fixtures().join("plain/wsgi.py"), tree.join("wsgi.py")).unwrap();
    assert!((1_900_000_000..2_100_000_000).contains(&total), "{total} bytes");
}

/// Gives a hundred files, the same each time, a content that they never had.
pub fn change(tree: &Path, round: usize) {
    for number in (0..FILES - 1).step_by(FILES / 100) {
        fs::write(file(tree, number), format!("{number} in round {round}\n").repeat(200)).unwrap();
    }
}

fn file(tree: &Path, number: usize) -> PathBuf {
    let directory = number / A_DIRECTORY;
    tree.join(format!("part{}/package{directory}/file{number}.py", directory / 40))
}
