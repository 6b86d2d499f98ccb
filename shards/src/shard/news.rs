//! What a shard has to tell the broker: one question waits for it at a time.

use super::responder::Responder;
use crate::message::{News, Reply};
use std::cell::RefCell;
use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct NewsDesk {
    untold: RefCell<VecDeque<News>>,
    waiting: RefCell<Option<Responder>>,
}

impl NewsDesk {
    pub fn tell(&self, news: News) {
        self.untold.borrow_mut().push_back(news);
        self.deliver();
    }

    pub fn wanted(&self, responder: Responder) {
        *self.waiting.borrow_mut() = Some(responder);
        self.deliver();
    }

    /// There will be no more.
    pub fn close(&self) {
        if let Some(responder) = self.waiting.take() {
            responder.reply(Reply::Closed);
        }
    }

    fn deliver(&self) {
        if self.waiting.borrow().is_none() {
            return;
        }
        let next = self.untold.borrow_mut().pop_front();
        if let (Some(news), Some(responder)) = (next.clone(), next.and_then(|_| self.waiting.take())) {
            responder.reply(Reply::News(news));
        }
    }
}
