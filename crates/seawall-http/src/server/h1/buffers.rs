//! Buffers that connections lease from their thread while they need one: an idle connection has none.
//!
//! A thread keeps a bounded number of them; what is beyond goes back to the allocator, as does one that grew.

use std::cell::RefCell;

use bytes::BytesMut;

/// Room for a read: the head of most requests, and a small body.
pub(super) const READ: usize = 8 << 10;

/// Answers are gathered up to here, and then sent; a body above a quarter of it goes out from where it is.
pub(super) const WRITE: usize = 16 << 10;

/// Buffers of each kind that a thread keeps: what a burst leases at once, and no more than 1.5 MiB.
const KEPT: usize = 64;

#[derive(Default)]
struct Kept {
    to_read: Vec<BytesMut>,
    to_write: Vec<Vec<u8>>,
}

thread_local! {
    static KEPT_HERE: RefCell<Kept> = RefCell::default();
}

/// A buffer to read into, empty.
pub(super) fn lease_to_read() -> BytesMut {
    let kept = KEPT_HERE.try_with(|kept| kept.borrow_mut().to_read.pop());
    kept.ok().flatten().unwrap_or_else(|| BytesMut::with_capacity(READ))
}

/// Gives back what [`lease_to_read`] gave. One that is part of a body, or grew, is not kept.
pub(super) fn give_back_read(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() < READ && !buffer.try_reclaim(READ) || buffer.capacity() > 2 * READ {
        return;
    }
    // A thread that ends keeps nothing.
    let _ = KEPT_HERE.try_with(|kept| {
        let kept = &mut kept.borrow_mut().to_read;
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}

/// A buffer to write to, empty.
pub(super) fn lease_to_write() -> Vec<u8> {
    let kept = KEPT_HERE.try_with(|kept| kept.borrow_mut().to_write.pop());
    kept.ok().flatten().unwrap_or_else(|| Vec::with_capacity(WRITE))
}

/// Gives back what [`lease_to_write`] gave.
pub(super) fn give_back_write(mut buffer: Vec<u8>) {
    if buffer.capacity() < WRITE || buffer.capacity() > 2 * WRITE {
        return;
    }
    buffer.clear();
    let _ = KEPT_HERE.try_with(|kept| {
        let kept = &mut kept.borrow_mut().to_write;
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        KEPT_HERE.with(|kept| (kept.borrow().to_read.len(), kept.borrow().to_write.len()))
    }

    #[test]
    fn a_thread_keeps_a_bounded_number() {
        (0..2 * KEPT).for_each(|_| give_back_read(BytesMut::with_capacity(READ)));
        (0..2 * KEPT).for_each(|_| give_back_write(Vec::with_capacity(WRITE)));
        assert_eq!(kept(), (KEPT, KEPT));
        drop((lease_to_read(), lease_to_write()));
        assert_eq!(kept(), (KEPT - 1, KEPT - 1));
    }

    #[test]
    fn what_was_read_past_is_room_again_and_what_somebody_holds_is_not_kept() {
        let mut past = lease_to_read();
        past.extend_from_slice(&[1; 100]);
        bytes::Buf::advance(&mut past, 100);
        give_back_read(past);
        assert_eq!(kept().0, 1);
        assert!(lease_to_read().capacity() >= READ);
        let mut shared = BytesMut::with_capacity(READ);
        shared.extend_from_slice(&[1; 100]);
        let body = shared.split_to(50).freeze();
        give_back_read(shared);
        assert_eq!(kept().0, 0);
        drop(body);
    }

    #[test]
    fn what_grew_is_not_kept() {
        give_back_read(BytesMut::with_capacity(1 << 20));
        give_back_write(Vec::with_capacity(1 << 20));
        assert_eq!(kept(), (0, 0));
    }
}
