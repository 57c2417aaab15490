//! Steps that run side by side, each as soon as those before it are done.

use std::sync::mpsc::channel;
use std::thread;

use crate::system::signals;

/// A piece of work and what it waits for.
pub struct Node<W> {
    /// Its name.
    pub name: &'static str,
    /// The names of those that must be done before.
    pub after: &'static [&'static str],
    /// What to do.
    pub work: W,
}

/// Does all that `nodes` hold, in threads; what is ready alone in this one. The first failure stops the others at once,
/// wherever they look for signals, and is what is returned.
///
/// # Errors
/// That of the node which failed first.
pub fn run<'a, W: Sync + 'a, E: Send>(
    nodes: impl IntoIterator<Item = &'a Node<W>>,
    act: impl Fn(&Node<W>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let mut waiting: Vec<&Node<W>> = nodes.into_iter().collect();
    let mut done: Vec<&str> = Vec::new();
    let mut running = 0;
    let (sender, ended) = channel();
    let mut failure = None;
    thread::scope(|scope| {
        loop {
            let may_start = |node: &&Node<W>| node.after.iter().all(|before| done.contains(before));
            let (ready, rest): (Vec<_>, Vec<_>) = waiting.drain(..).partition(may_start);
            waiting = rest;
            if failure.is_none() {
                running += ready.len();
                let alone = running == 1;
                for node in ready {
                    let (sender, act) = (sender.clone(), &act);
                    let work = move || drop(sender.send((node.name, act(node))));
                    if alone { work() } else { drop(scope.spawn(work)) }
                }
            }
            if running == 0 {
                break;
            }
            let Ok((name, result)) = ended.recv() else { break };
            running -= 1;
            match result {
                Ok(()) => done.push(name),
                Err(error) if failure.is_none() => {
                    failure = Some(error);
                    signals::abandon(true);
                }
                // It was stopped.
                Err(_) => {}
            }
        }
    });
    signals::abandon(false);
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::system::wait;

    fn node(name: &'static str, after: &'static [&'static str]) -> Node<()> {
        Node { name, after, work: () }
    }

    #[test]
    fn each_begins_when_those_before_it_are_done() {
        let nodes = [node("roof", &["wall", "floor"]), node("wall", &["floor"]), node("floor", &[])];
        let order = Mutex::new(Vec::new());
        run(&nodes, |node| {
            order.lock().unwrap().push(node.name);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(*order.lock().unwrap(), ["floor", "wall", "roof"]);
    }

    #[test]
    fn what_is_independent_runs_at_the_same_time() {
        let (nodes, here) = ([node("one", &[]), node("other", &[])], Mutex::new(0));
        run(&nodes, |_| {
            *here.lock().unwrap() += 1;
            let both = || Ok::<_, signals::Interrupted>((*here.lock().unwrap() == 2).then_some(()));
            wait::until(&[], Duration::from_secs(60), both).unwrap().ok_or(())
        })
        .unwrap();
    }
}
