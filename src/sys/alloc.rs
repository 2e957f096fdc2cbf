//! An allocator for a program that lives for one launch: it hands out one block of memory from front to back.
//!
//! Reading the command line makes some thousand small allocations. musl's malloc maps and unmaps pages for them, which
//! takes longer than all the rest of the start-up; here an allocation is an addition.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

/// Bytes of each region, before the system's allocator takes over. They are of the zeroed part of the program and cost
/// no memory until they are touched.
const SIZE: usize = 1 << 20;
/// Allocations of this size and above have a region of their own. They are few, and mostly one list that grows: with
/// nothing small behind it, it grows in place.
const LARGE: usize = 1024;

/// The allocator: for a program's `#[global_allocator]`.
pub struct Bump {
    small: Region,
    large: Region,
}

struct Region {
    block: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: every byte of the block is handed out once, by an atomic addition to `used`.
unsafe impl Sync for Region {}

impl Default for Bump {
    fn default() -> Self {
        Self::new()
    }
}

impl Bump {
    /// Two whole regions.
    pub const fn new() -> Self {
        Bump {
            small: Region::new(),
            large: Region::new(),
        }
    }

    fn region(&self, size: usize) -> &Region {
        if size < LARGE {
            &self.small
        } else {
            &self.large
        }
    }

    fn holder(&self, pointer: *mut u8) -> Option<&Region> {
        [&self.small, &self.large]
            .into_iter()
            .find(|region| region.offset(pointer) < SIZE)
    }
}

impl Region {
    const fn new() -> Self {
        Region {
            block: UnsafeCell::new([0; SIZE]),
            used: AtomicUsize::new(0),
        }
    }

    /// How far `pointer` is from the start; `SIZE` or more when it is not in this region.
    fn offset(&self, pointer: *mut u8) -> usize {
        (pointer as usize).wrapping_sub(self.block.get() as usize)
    }

    /// The next `layout.size()` bytes, or none when they are not there.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let start = self.block.get() as usize;
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let offset = (start + used).next_multiple_of(layout.align()) - start;
            let end = offset
                .checked_add(layout.size())
                .filter(|&end| end <= SIZE)?;
            match self
                .used
                .compare_exchange_weak(used, end, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some((start + offset) as *mut u8),
                Err(now) => used = now,
            }
        }
    }

    /// Makes the allocation that was made last, `old` bytes at `pointer`, `new` bytes long; false when it was not the
    /// last, or there is no room.
    fn resize_last(&self, pointer: *mut u8, old: usize, new: usize) -> bool {
        let offset = self.offset(pointer);
        let (old, new) = (offset + old, offset + new);
        new <= SIZE
            && self
                .used
                .compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

// SAFETY: an allocation is either a part of a region that nobody else has or comes from `System`, which alone gets it
// back; `holder` tells which.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.region(layout.size()).take(layout) {
            Some(pointer) => pointer,
            // SAFETY: the caller's promise for `layout` goes on to `System`.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.holder(pointer) {
            // What is not the last is not reused: the program ends soon.
            Some(region) => drop(region.resize_last(pointer, layout.size(), 0)),
            // SAFETY: what is not in a region came from `System` with this layout.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(region) = self.holder(pointer) else {
            // SAFETY: what is not in a region came from `System` with this layout.
            return unsafe { System.realloc(pointer, layout, size) };
        };
        let stays = core::ptr::eq(region, self.region(size));
        if stays && region.resize_last(pointer, layout.size(), size) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_aligned_memory_that_grows_in_place_and_falls_back() {
        static BUMP: Bump = Bump::new();
        let bump = &BUMP;
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        let holds = |pointer| bump.holder(pointer).is_some();
        // SAFETY: every layout is used with the pointer that it was allocated with.
        unsafe {
            let a = bump.alloc(layout(3, 1));
            let b = bump.alloc(layout(8, 8));
            assert!(
                holds(a)
                    && holds(b)
                    && (b as usize).is_multiple_of(8)
                    && b as usize >= a as usize + 3
            );
            b.write_bytes(7, 8);
            assert_eq!(bump.realloc(b, layout(8, 8), 64), b);
            let c = bump.alloc(layout(1, 1));
            let moved = bump.realloc(b, layout(64, 8), 128);
            assert!(moved != b && holds(moved));
            assert_eq!(core::slice::from_raw_parts(moved, 8), [7; 8]);
            bump.dealloc(c, layout(1, 1));
            let list = bump.alloc(layout(LARGE, 8));
            bump.alloc(layout(8, 8));
            assert_eq!(bump.realloc(list, layout(LARGE, 8), 8 * LARGE), list);
            let large = bump.alloc(layout(SIZE, 1));
            assert!(!holds(large));
            bump.dealloc(large, layout(SIZE, 1));
            bump.dealloc(moved, layout(128, 8));
            let zeroed = bump.alloc_zeroed(layout(64, 8));
            assert_eq!(core::slice::from_raw_parts(zeroed, 64), [0; 64]);
        }
    }
}
