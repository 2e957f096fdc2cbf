//! An allocator for a program that lives for one launch: it hands out one block of memory from front to back.
//!
//! Reading the command line makes some thousand small allocations. musl's malloc maps and unmaps pages for them, which
//! takes longer than all the rest of the start-up; here an allocation is an addition.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

/// Bytes that are handed out before the system's allocator takes over. They are of the zeroed part of the program and
/// cost no memory until they are touched.
const SIZE: usize = 1 << 20;

/// The allocator: for a program's `#[global_allocator]`.
pub struct Bump {
    block: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: every byte of the block is handed out once, by an atomic addition to `used`.
unsafe impl Sync for Bump {}

impl Default for Bump {
    fn default() -> Self {
        Self::new()
    }
}

impl Bump {
    /// A whole block.
    pub const fn new() -> Self {
        Bump { block: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) }
    }

    fn start(&self) -> usize {
        self.block.get() as usize
    }

    fn holds(&self, pointer: *mut u8) -> bool {
        (self.start()..self.start() + SIZE).contains(&(pointer as usize))
    }

    /// Whether `pointer` is the allocation that was made last, of `size` bytes: it alone can grow, or be taken back.
    fn is_last(&self, pointer: *mut u8, size: usize) -> bool {
        pointer as usize + size == self.start() + self.used.load(Ordering::Relaxed)
    }
}

// SAFETY: an allocation is either a part of the block that nobody else has or comes from `System`, which alone gets it
// back; `holds` tells which.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let address = (self.start() + used).next_multiple_of(layout.align());
            let end = address - self.start() + layout.size();
            if end > SIZE {
                // SAFETY: the caller's promise for `layout` goes on to `System`.
                return unsafe { System.alloc(layout) };
            }
            match self.used.compare_exchange_weak(used, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return address as *mut u8,
                Err(now) => used = now,
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.holds(pointer) {
            // SAFETY: what is not in the block came from `System` with this layout.
            return unsafe { System.dealloc(pointer, layout) };
        }
        if self.is_last(pointer, layout.size()) {
            let end = pointer as usize + layout.size() - self.start();
            let start = pointer as usize - self.start();
            // When another thread has allocated meanwhile, the bytes are not reused: that is all.
            let _ = self.used.compare_exchange(end, start, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.holds(pointer) {
            // SAFETY: what is not in the block came from `System` with this layout.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        let start = pointer as usize - self.start();
        let end = start + layout.size();
        let fits = start + size <= SIZE && self.is_last(pointer, layout.size());
        if fits && self.used.compare_exchange(end, start + size, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return pointer;
        }
        // SAFETY: `size` and the alignment are the caller's, whose promise holds for a new allocation too.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both are valid for the smaller of the two sizes, and cannot overlap.
            unsafe { core::ptr::copy_nonoverlapping(pointer, new, layout.size().min(size)) };
        }
        new
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise. Memory of the block may have been used before, so that it is cleared here.
        let pointer = unsafe { self.alloc(layout) };
        if !pointer.is_null() {
            // SAFETY: `pointer` was just allocated with this size.
            unsafe { core::ptr::write_bytes(pointer, 0, layout.size()) };
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_aligned_memory_that_grows_in_place_and_falls_back() {
        let bump = Box::new(Bump::new());
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        // SAFETY: every layout is used with the pointer that it was allocated with.
        unsafe {
            let a = bump.alloc(layout(3, 1));
            let b = bump.alloc(layout(8, 8));
            assert!(bump.holds(a) && bump.holds(b) && (b as usize).is_multiple_of(8) && b as usize >= a as usize + 3);
            b.write_bytes(7, 8);
            assert_eq!(bump.realloc(b, layout(8, 8), 64), b);
            let c = bump.alloc(layout(1, 1));
            let moved = bump.realloc(b, layout(64, 8), 128);
            assert!(moved != b && bump.holds(moved));
            assert_eq!(core::slice::from_raw_parts(moved, 8), [7; 8]);
            bump.dealloc(c, layout(1, 1));
            let large = bump.alloc(layout(SIZE, 1));
            assert!(!bump.holds(large));
            bump.dealloc(large, layout(SIZE, 1));
            bump.dealloc(moved, layout(128, 8));
            let zeroed = bump.alloc_zeroed(layout(64, 8));
            assert_eq!(core::slice::from_raw_parts(zeroed, 64), [0; 64]);
        }
    }
}
