use std::fs;
use std::io::ErrorKind;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use super::super::crew::{MOST, share};
use super::TreeError;

fn error(why: &'static str) -> TreeError {
    TreeError::because("try", Path::new("x"), ErrorKind::Other, why)
}

#[test]
fn every_job_is_done_once() {
    let sum = AtomicUsize::new(0);
    // Each number hands on the two that follow it in a tree.
    let done = share(vec![1], MOST, |number: usize, crew| {
        sum.fetch_add(number, Ordering::Relaxed);
        crew.add([2 * number, 2 * number + 1].into_iter().filter(|&n| n < 5000));
        Ok(1)
    });
    assert!(done.is_ok());
    assert_eq!(sum.into_inner(), (1..5000).sum::<usize>());
}

#[test]
fn the_first_error_stops_the_others_and_is_the_one_that_is_told() {
    if available_parallelism().map_or(1, usize::from) < 2 {
        return;
    }
    let both = Barrier::new(2);
    let failed = share(vec!["late", "first", "many"], MOST, |job, crew| match job {
        "many" => Ok(1000),
        "first" => {
            both.wait();
            Err(error("the first"))
        }
        _ => {
            both.wait();
            while crew.check("try", Path::new("y")).is_ok() {
                std::hint::spin_loop();
            }
            Err(error("the last"))
        }
    });
    assert_eq!(failed.unwrap_err().source.to_string(), "the first");
}

#[test]
fn a_panic_in_one_thread_leaves_nobody_waiting() {
    let panicked = catch_unwind(|| {
        share(vec!["panic", "many"], MOST, |job, _| match job {
            "many" => Ok(1000),
            _ => panic!("as asked"),
        })
    });
    assert!(panicked.is_err());
}

#[test]
fn few_entries_need_no_second_thread() {
    let this = std::thread::current().id();
    let done = share((0..30).collect(), MOST, |_: usize, _| {
        assert_eq!(std::thread::current().id(), this);
        // Long enough for another thread to take the next.
        fs::read("/proc/self/smaps").unwrap();
        Ok(10)
    });
    assert!(done.is_ok());
}
