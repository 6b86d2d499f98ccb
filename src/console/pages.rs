//! The page that many may fetch at a time: one is made for all who ask meanwhile, and only so many are held by those who read
//! slowly.

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use odradek_shards::runtime::sync::{Notify, Sender, oneshot};
use odradek_shards::runtime::{self, Class};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Pages in memory. A page of very many partitions is tens of megabytes.
const PAGES_MAX: usize = 2;

pub(super) struct Pages {
    make: Box<dyn Fn() -> LocalBoxFuture<'static, String>>,
    /// Those who get the page that is being made.
    waiting: RefCell<Vec<Sender<Page>>>,
    making: Cell<bool>,
    out: Cell<usize>,
    returned: Notify,
}

/// A page, for as long as somebody sends it.
#[derive(Clone)]
pub(super) struct Page {
    pub text: Bytes,
    _out: Rc<Out>,
}

struct Out(Rc<Pages>);

impl Pages {
    /// `make` makes one; never two at a time.
    pub fn new(make: impl Fn() -> LocalBoxFuture<'static, String> + 'static) -> Rc<Self> {
        Rc::new(Self {
            make: Box::new(make),
            waiting: RefCell::default(),
            making: Cell::default(),
            out: Cell::default(),
            returned: Notify::new(),
        })
    }

    /// The one that is being made, or another. None when the shard ends.
    pub async fn fetch(self: &Rc<Self>) -> Option<Page> {
        let (sender, page) = oneshot();
        {
            let mut waiting = self.waiting.borrow_mut();
            waiting.retain(|waiting| !waiting.is_closed());
            waiting.push(sender);
        }
        if !self.making.replace(true) {
            runtime::spawn_in(Class::Background, self.clone().make_one());
        }
        page.await.ok()
    }

    /// Goes on although who asked for it may go away: a half made page would be old when the next one asks.
    async fn make_one(self: Rc<Self>) {
        while self.out.get() >= PAGES_MAX {
            self.returned.notified().await;
        }
        self.out.set(self.out.get() + 1);
        let out = Rc::new(Out(self.clone()));
        let page = Page { text: (self.make)().await.into(), _out: out };
        self.making.set(false);
        for waiting in self.waiting.take() {
            drop(waiting.send(page.clone()));
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.0.out.set(self.0.out.get() - 1);
        self.0.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use odradek_shards::runtime::simulation::simulate;
    use odradek_shards::runtime::{now, sleep, spawn_joined};
    use std::time::Duration;

    const MAKING: Duration = Duration::from_secs(1);

    /// Pages that are numbers, and take a while.
    fn numbers() -> Rc<Pages> {
        let made = Rc::new(Cell::new(0));
        Pages::new(move || {
            let made = made.clone();
            Box::pin(async move {
                sleep(MAKING).await;
                made.set(made.get() + 1);
                made.get().to_string()
            })
        })
    }

    #[test]
    fn who_asks_while_a_page_is_made_gets_that_one() {
        simulate(1, async {
            let pages = numbers();
            let all = (0..16).map(|at| {
                let pages = &pages;
                async move {
                    sleep(MAKING / 20 * at).await;
                    pages.fetch().await.unwrap()
                }
            });
            let all = join_all(all).await;
            assert!(all.iter().all(|page| page.text == "1" && page.text.as_ptr() == all[0].text.as_ptr()));
            assert_eq!(pages.fetch().await.unwrap().text, "2");
        });
    }

    #[test]
    fn no_more_pages_are_made_than_may_be_held() {
        simulate(2, async {
            let pages = numbers();
            let held = [pages.fetch().await.unwrap(), pages.fetch().await.unwrap()];
            let (waiting, begun) = (pages.clone(), now());
            let next = spawn_joined(async move { waiting.fetch().await.unwrap().text });
            sleep(MAKING * 10).await;
            drop(held);
            assert_eq!(next.await, "3");
            assert_eq!(now().saturating_since(begun), MAKING * 11);
            assert_eq!(pages.out.get(), 0);
        });
    }

    #[test]
    fn a_page_is_made_whole_when_who_asked_first_goes_away() {
        simulate(3, async {
            let pages = numbers();
            let mut gone = Box::pin(pages.fetch());
            assert!(futures_util::poll!(&mut gone).is_pending());
            drop(gone);
            sleep(MAKING / 2).await;
            assert_eq!(pages.fetch().await.unwrap().text, "1");
        });
    }
}
