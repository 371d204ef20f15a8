//! Checked handles: what C holds is a token, looked up in a table and never dereferenced.
//!
//! A token is `generation << 28 | index << 4 | kind << 1 | 1`: odd, so it is never NULL and never the address of an
//! object. Every slot counts its generations; a slot whose generations are used up is retired, so a
//! token is never given out twice. Looking up takes a read lock of the one slot, for as long as it
//! takes to clone an `Arc`; nothing here waits for user code. A handle remembers the process that
//! made it, and is refused in a child before any lock is touched.
//!
//! In a child the threads of the parent are gone, in the middle of whatever they were doing: locks may be held for ever and
//! objects half changed. There a handle is ended by its slot's word alone, and of the object only the table of
//! descriptors is touched, which is made of atomics; its memory stays as it is until the child ends.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Code, Error, Stage};
use crate::sys::{process, Descriptors, OnceBox};

use super::client::gwa_client_t;
use super::config::gwa_config_t;
use super::request::gwa_request_t;
use super::source::gwa_token_source_t;

/// What a handle stands for.
#[derive(Clone)]
pub(super) enum Object {
    /// A configuration.
    Config(Arc<gwa_config_t>),
    /// A client.
    Client(Arc<gwa_client_t>),
    /// A question of the library.
    Request(Arc<gwa_request_t>),
    /// A source of tokens.
    Source(Arc<gwa_token_source_t>),
}

/// A type that C holds by checked handle.
pub(super) trait Checked: Sized {
    /// Three bits of the token, different for every type.
    const KIND: u64;
    /// Puts it into the table's type.
    fn into_object(this: Arc<Self>) -> Object;
    /// Takes it out again, if the object is of this type.
    fn from_object(object: &Object) -> Option<&Arc<Self>>;
    /// What a child closes when it frees the handle. Lives as long as the object.
    fn descriptors(&self) -> Option<&Arc<Descriptors>> {
        None
    }
}

/// Puts an object into the table; its handle.
pub(super) fn put<T: Checked>(object: T) -> Result<*mut T, Error> {
    let descriptors = object.descriptors().map_or(ptr::null_mut(), |table| Arc::as_ptr(table).cast_mut());
    let token = TABLE.insert(T::into_object(Arc::new(object)), T::KIND, descriptors)?;
    Ok(ptr::without_provenance_mut(token as usize))
}

/// The object behind a handle, kept alive by the `Arc` whatever other threads free.
pub(super) fn find<T: Checked>(handle: *const T) -> Result<Arc<T>, Error> {
    TABLE.find(handle.addr() as u64, |object| T::from_object(object).cloned())
}

/// Ends a handle; the object behind it. Of several threads that try, one succeeds. In a child, a handle of the parent ends
/// too, and its descriptors are closed there; the error is `Forked`.
pub(super) fn take<T: Checked>(handle: *mut T) -> Result<Arc<T>, Error> {
    let token = handle.addr() as u64;
    if token >> 1 & KIND_MASK != T::KIND {
        return Err(bad_handle());
    }
    let object = TABLE.remove(token)?;
    T::from_object(&object).cloned().ok_or_else(bad_handle)
}

/// Does something small with the object behind a handle, without waiting, allocating or freeing: for signal handlers.
pub(super) fn peek<T: Checked>(handle: *const T, act: impl FnOnce(&T)) -> Result<(), Code> {
    TABLE.peek(handle.addr() as u64, |object| T::from_object(object).map(|object| act(object)))
}

/// The error of a handle that is none.
pub(super) fn bad_handle() -> Error {
    Error::new(Code::BadHandle, Stage::Call, "")
}

/// Handles in the first chunk; every further chunk is twice as large.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 18;
const INDEX_BITS: u32 = 24;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const KIND_MASK: u64 = 0b111;
const GENERATION_SHIFT: u32 = INDEX_BITS + 4;
const LAST_GENERATION: u64 = (1 << (64 - GENERATION_SHIFT)) - 1;
/// Values of `Slot::word` that are no token: tokens are odd.
const FREE: u64 = 0;
const BUSY: u64 = 2;

static TABLE: Table = Table::new(LAST_GENERATION);

struct Table {
    /// Chunks never move and are never freed, so a slot can be read without a lock.
    chunks: [OnceBox<Box<[Slot]>>; CHUNKS],
    /// Where the search for a free slot begins.
    hint: AtomicUsize,
    last_generation: u64,
}

#[derive(Default)]
struct Slot {
    /// The token in force, or `FREE`, or `BUSY` (changing hands, or retired).
    word: AtomicU64,
    /// The process that made the handle.
    process: AtomicU32,
    generation: AtomicU64,
    /// Of the object, or NULL.
    descriptors: AtomicPtr<Descriptors>,
    object: RwLock<Option<Object>>,
}

impl Table {
    const fn new(last_generation: u64) -> Self {
        Self { chunks: [const { OnceBox::new() }; CHUNKS], hint: AtomicUsize::new(0), last_generation }
    }

    fn insert(&self, object: Object, kind: u64, descriptors: *mut Descriptors) -> Result<u64, Error> {
        let (index, slot, mut place) = loop {
            let (index, slot) = self.claim()?;
            // In a child a thread that is gone may have been looking; the slot is lost there.
            let foreign = slot.process.load(Ordering::Relaxed) != process();
            match slot.object.try_write() {
                Ok(place) => break (index, slot, place),
                Err(_) if foreign => {}
                Err(_) => break (index, slot, slot.object.write().unwrap_or_else(PoisonError::into_inner)),
            }
        };
        let generation = slot.generation.load(Ordering::Relaxed);
        let token = generation << GENERATION_SHIFT | (index as u64) << 4 | kind << 1 | 1;
        slot.process.store(process(), Ordering::Relaxed);
        *place = Some(object);
        slot.descriptors.store(descriptors, Ordering::Relaxed);
        drop(place);
        slot.word.store(token, Ordering::Release);
        Ok(token)
    }

    fn find<T>(&self, token: u64, get: impl FnOnce(&Object) -> Option<T>) -> Result<T, Error> {
        let slot = self.slot_of(token)?;
        let object = slot.object.read().unwrap_or_else(PoisonError::into_inner);
        if slot.word.load(Ordering::Acquire) != token {
            return Err(bad_handle());
        }
        object.as_ref().and_then(get).ok_or_else(bad_handle)
    }

    /// As `find`, but a slot that is changing hands counts as gone. On Linux `try_read` and its unlock are
    /// a few atomic operations and at most a futex wake, all fit for a signal handler.
    fn peek<T>(&self, token: u64, get: impl FnOnce(&Object) -> Option<T>) -> Result<T, Code> {
        let slot = self.slot((token >> 4 & INDEX_MASK) as usize).ok_or(Code::BadHandle)?;
        if token & 1 == 0 || slot.word.load(Ordering::Acquire) != token {
            return Err(Code::BadHandle);
        }
        if slot.process.load(Ordering::Relaxed) != process() {
            return Err(Code::Forked);
        }
        let object = slot.object.try_read().map_err(|_| Code::BadHandle)?;
        if slot.word.load(Ordering::Acquire) != token {
            return Err(Code::BadHandle);
        }
        object.as_ref().and_then(get).ok_or(Code::BadHandle)
    }

    /// Ends the handle of a parent in its child. The slot is not used again there.
    fn abandon(&self, token: u64) {
        let Some(slot) = self.slot((token >> 4 & INDEX_MASK) as usize) else { return };
        if slot.word.compare_exchange(token, BUSY, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        let descriptors = slot.descriptors.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: NULL, or the table of the object in this slot. The parent had not taken the object out when it forked: the
        // word would not have been the token. And in the child nothing does: handles of the parent are refused.
        if let Some(descriptors) = unsafe { descriptors.as_ref() } {
            descriptors.close_all();
        }
    }

    fn remove(&self, token: u64) -> Result<Object, Error> {
        let slot = self.slot_of(token).inspect_err(|error| {
            if error.code() == Code::Forked {
                self.abandon(token);
            }
        })?;
        // Whoever changes the word first has the object; all others see a dead handle.
        if slot.word.compare_exchange(token, BUSY, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Err(bad_handle());
        }
        let object = slot.object.write().unwrap_or_else(PoisonError::into_inner).take();
        let next = slot.generation.load(Ordering::Relaxed) + 1;
        if next <= self.last_generation {
            slot.generation.store(next, Ordering::Relaxed);
            slot.word.store(FREE, Ordering::Release);
        }
        object.ok_or_else(bad_handle)
    }

    /// The slot whose token this is, in the process that made it.
    fn slot_of(&self, token: u64) -> Result<&Slot, Error> {
        let slot = self.slot((token >> 4 & INDEX_MASK) as usize).ok_or_else(bad_handle)?;
        if token & 1 == 0 || slot.word.load(Ordering::Acquire) != token {
            return Err(bad_handle());
        }
        if slot.process.load(Ordering::Relaxed) != process() {
            return Err(Error::new(Code::Forked, Stage::Call, ""));
        }
        Ok(slot)
    }

    /// Takes a free slot; makes room if there is none.
    fn claim(&self) -> Result<(usize, &Slot), Error> {
        for chunks in 1..=CHUNKS {
            let size = FIRST_CHUNK * ((1 << chunks) - 1);
            self.grow(chunks - 1);
            if self.slot(size).is_some() {
                continue;
            }
            if let Some(claimed) = self.claim_among(size) {
                return Ok(claimed);
            }
        }
        Err(Error::new(Code::Internal, Stage::Call, "too many handles are alive"))
    }

    fn claim_among(&self, size: usize) -> Option<(usize, &Slot)> {
        let start = self.hint.load(Ordering::Relaxed);
        for step in 0..size {
            let index = (start + step) % size;
            let slot = self.slot(index)?;
            if slot.word.compare_exchange(FREE, BUSY, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.hint.store(index + 1, Ordering::Relaxed);
                return Some((index, slot));
            }
        }
        None
    }

    fn grow(&self, chunk: usize) {
        if let Some(cell) = self.chunks.get(chunk) {
            cell.get_or_init(|| (0..FIRST_CHUNK << chunk).map(|_| Slot::default()).collect());
        }
    }

    fn slot(&self, index: usize) -> Option<&Slot> {
        let chunk = (index / FIRST_CHUNK + 1).ilog2() as usize;
        let offset = index - FIRST_CHUNK * ((1 << chunk) - 1);
        self.chunks.get(chunk)?.get()?.get(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Object {
        Object::Config(Arc::new(gwa_config_t::new()))
    }

    fn found(table: &Table, token: u64) -> Result<(), Code> {
        table.find(token, |_| Some(())).map_err(|error| error.code())
    }

    #[test]
    fn a_token_is_dead_once_removed_and_its_slot_is_used_again() {
        let table = Table::new(LAST_GENERATION);
        let mut seen = Vec::new();
        for _ in 0..1_000 {
            let token = table.insert(config(), 1, ptr::null_mut()).unwrap();
            assert_eq!(found(&table, token), Ok(()));
            table.remove(token).map(drop).unwrap();
            assert_eq!(found(&table, token), Err(Code::BadHandle));
            assert_eq!(table.remove(token).map(drop).unwrap_err().code(), Code::BadHandle);
            seen.push(token);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000);
        assert!(table.chunks[1].get().is_none(), "freed slots are used again");
    }

    #[test]
    fn a_slot_is_retired_when_its_generations_are_used_up() {
        let table = Table::new(1);
        for _ in 0..2 * FIRST_CHUNK {
            let token = table.insert(config(), 1, ptr::null_mut()).unwrap();
            table.remove(token).map(drop).unwrap();
        }
        assert!(table.chunks[1].get().is_none());
        let token = table.insert(config(), 1, ptr::null_mut()).unwrap();
        assert_eq!((token >> 4 & INDEX_MASK) as usize, FIRST_CHUNK, "all slots of the first chunk are retired");
    }

    #[test]
    fn the_table_grows() {
        let table = Table::new(LAST_GENERATION);
        let tokens: Vec<_> = (0..1_000).map(|_| table.insert(config(), 1, ptr::null_mut()).unwrap()).collect();
        assert!(tokens.iter().all(|&token| found(&table, token) == Ok(())));
        assert!(tokens.iter().all(|&token| table.remove(token).is_ok()));
        assert!(tokens.iter().all(|&token| found(&table, token) == Err(Code::BadHandle)));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let handle = put(gwa_config_t::new()).unwrap();
        for wrong in [0, 1, 2, 8, 0x7fff_ffff_f000, u64::MAX, handle.addr() as u64 ^ 1, handle.addr() as u64 + 16] {
            assert_eq!(TABLE.find(wrong, |_| Some(())).unwrap_err().code(), Code::BadHandle, "{wrong:x}");
        }
        assert!(find(handle.cast::<gwa_client_t>()).is_err(), "another type");
        assert!(take(handle.cast::<gwa_request_t>()).is_err(), "another type");
        assert_eq!(peek(handle, |_| ()), Ok(()));
        assert!(find(handle).is_ok());
        assert!(take(handle).is_ok());
        assert_eq!(peek(handle, |_| ()), Err(Code::BadHandle));
    }

    #[test]
    fn a_handle_of_another_process_is_refused_as_forked() {
        let table = Table::new(LAST_GENERATION);
        let token = table.insert(config(), 1, ptr::null_mut()).unwrap();
        table.slot_of(token).unwrap().process.store(0, Ordering::Relaxed);
        assert_eq!(found(&table, token), Err(Code::Forked));
        assert_eq!(table.peek(token, |_| Some(())), Err(Code::Forked));
        assert_eq!(table.remove(token).map(drop).unwrap_err().code(), Code::Forked);
        // Freed in the child, it is dead there, and its slot is left alone.
        assert_eq!(found(&table, token), Err(Code::BadHandle));
        assert_eq!(table.peek(token, |_| Some(())), Err(Code::BadHandle));
        assert_ne!(table.insert(config(), 1, ptr::null_mut()).unwrap() & INDEX_MASK << 4, token & INDEX_MASK << 4);
    }

    #[test]
    fn a_slot_that_a_thread_of_the_parent_looked_at_is_passed_over() {
        let table = Table::new(LAST_GENERATION);
        let token = table.insert(config(), 1, ptr::null_mut()).unwrap();
        table.remove(token).map(drop).unwrap();
        table.hint.store(0, Ordering::Relaxed);
        let slot = table.slot((token >> 4 & INDEX_MASK) as usize).unwrap();
        let _held_for_ever = slot.object.read().unwrap();
        slot.process.store(0, Ordering::Relaxed);
        let next = table.insert(config(), 1, ptr::null_mut()).unwrap();
        assert_ne!(next & INDEX_MASK << 4, token & INDEX_MASK << 4);
    }

    #[test]
    fn of_many_threads_one_frees() {
        let handle = put(gwa_config_t::new()).unwrap().addr();
        let freed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(move || take(ptr::without_provenance_mut::<gwa_config_t>(handle)).is_ok()))
                .collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
        });
        assert_eq!(freed, 1);
    }
}
