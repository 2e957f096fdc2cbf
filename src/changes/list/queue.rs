//! Who looks into which directory.

use super::directories::{Task, Worker};
use super::entries::Part;
use crate::changes::store::Store;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, available_parallelism};

/// So many names are looked at by one thread alone, since starting another takes as long as some hundred of them.
const FEW: usize = 1000;
/// Each thread holds up to 64 descriptors, of the 1,024 that a process may have if nobody says otherwise.
const MOST_THREADS: usize = 8;

/// The tasks that nobody has taken yet.
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    tasks: Vec<Task>,
    /// How many are being done, from which more may come.
    busy: usize,
}

/// Compares all that the upper directories hold; returns what each thread has found.
pub fn walk(store: &Store) -> Vec<Part> {
    let roots = (0..store.pieces())
        .rev()
        .map(|piece| Task::root(store, piece))
        .collect();
    let queue = Queue::new(roots);
    std::thread::scope(|scope| {
        let mut worker = Worker::new(store);
        let mut helpers = None;
        while let Some((task, turn)) = queue.take() {
            turn.end(worker.work(task));
            if helpers.is_none() && worker.names_read() >= FEW && queue.has_waiting() {
                helpers = Some(start_helpers(scope, &queue, store));
            }
        }
        let found = helpers.into_iter().flatten().map(|helper| {
            let found = helper.join();
            found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        std::iter::once(worker.found()).chain(found).collect()
    })
}

/// Starts a thread for each further processor, as far as that is allowed.
fn start_helpers<'scope>(
    scope: &'scope Scope<'scope, '_>,
    queue: &'scope Queue,
    store: &'scope Store,
) -> Vec<ScopedJoinHandle<'scope, Part>> {
    let processors = available_parallelism().map_or(1, usize::from);
    let start = |_| {
        let thread = Builder::new().name("list".to_string());
        thread.spawn_scoped(scope, || help(queue, store)).ok()
    };
    (1..processors.min(MOST_THREADS)).map_while(start).collect()
}

fn help(queue: &Queue, store: &Store) -> Part {
    let mut worker = Worker::new(store);
    while let Some((task, turn)) = queue.take() {
        turn.end(worker.work(task));
    }
    worker.found()
}

impl Queue {
    fn new(tasks: Vec<Task>) -> Queue {
        Queue {
            state: Mutex::new(Waiting { tasks, busy: 0 }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_waiting(&self) -> bool {
        !self.lock().tasks.is_empty()
    }

    /// A task to be done, and the turn to do it; none when all is done.
    fn take(&self) -> Option<(Task, Turn<'_>)> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.tasks.pop() {
                state.busy += 1;
                return Some((task, Turn(self)));
            }
            if state.busy == 0 {
                return None;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A thread at a task, until this is dropped.
struct Turn<'a>(&'a Queue);

impl Turn<'_> {
    /// The task is done, and these have come of it. This thread takes the first of them: only if there are others, somebody
    /// else has to be woken.
    fn end(self, tasks: Vec<Task>) {
        let more = !tasks.is_empty();
        let mut state = self.0.lock();
        state.tasks.extend(tasks.into_iter().rev());
        if more && state.tasks.len() > 1 {
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Turn<'_> {
    /// Also when the task has panicked: the others are not to wait for it.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy -= 1;
        if state.busy == 0 && state.tasks.is_empty() {
            self.0.changed.notify_all();
        }
    }
}
