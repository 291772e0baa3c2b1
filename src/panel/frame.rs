//! The frame of every page: the menu, the language, the current page.

use super::texts::{Lang, Texts, texts};

/// The frame of a page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The language of the page.
    pub lang: Lang,
    /// The position of the bank that serves it.
    pub bank: u8,
    /// The address of this bank's line protocol.
    pub address: String,
    /// The entry of the menu that the page belongs to.
    pub here: Page,
    /// The path of the page with its query, to which the language switch returns.
    pub path: String,
    /// Was the consortium started as a demonstration?
    pub demo: bool,
    /// Undecided transactions at this bank.
    pub undecided: u64,
    /// How far this bank's commit times are from its machine's clock, as text, if they differ.
    pub clock: Option<String>,
    /// A message about the preceding action.
    pub done: Option<&'static str>,
    /// Who the page is for.
    pub visitor: Visitor,
}

/// Who a page is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitor {
    /// Anybody on this machine, in open mode: no names, no log-in.
    Anybody,
    /// Somebody who has not logged in: there is no menu.
    Stranger,
    /// Somebody who has logged in.
    Person {
        /// The name of the person.
        name: String,
        /// What each form of the page sends back, so that no other site can submit it.
        form_token: String,
        /// The pages that the person may open.
        pages: Vec<Page>,
    },
}

impl Visitor {
    /// The name, if somebody has logged in.
    pub fn name(&self) -> Option<&str> {
        match self {
            Visitor::Anybody | Visitor::Stranger => None,
            Visitor::Person { name, .. } => Some(name),
        }
    }

    /// What forms send back, if they need it.
    pub fn form_token(&self) -> Option<&str> {
        match self {
            Visitor::Anybody | Visitor::Stranger => None,
            Visitor::Person { form_token, .. } => Some(form_token),
        }
    }

    fn may_open(&self, page: Page) -> bool {
        match self {
            Visitor::Anybody => true,
            Visitor::Stranger => false,
            Visitor::Person { pages, .. } => pages.contains(&page),
        }
    }
}

impl Frame {
    /// The texts in the language of the page.
    pub fn t(&self) -> &'static Texts {
        texts(self.lang)
    }

    /// The title of the page.
    pub fn title(&self) -> &'static str {
        self.here.title(self.lang)
    }

    /// The menu: the pages that the visitor may open; that of the demonstration only in one.
    pub fn menu(&self) -> Vec<MenuEntry> {
        Page::ALL
            .into_iter()
            .filter(|page| *page != Page::Demo || self.demo)
            .filter(|page| self.visitor.may_open(*page))
            .map(|page| MenuEntry {
                path: page.path(),
                words: page.title(self.lang),
                here: page == self.here,
                counts: page == Page::Pending,
            })
            .collect()
    }

    /// The other language's short code.
    pub(crate) fn other_code(&self) -> &'static str {
        self.lang.other().short()
    }

    /// The other language's own name.
    pub(crate) fn other_name(&self) -> &'static str {
        self.lang.other().own_name()
    }
}

/// A line of the menu.
#[derive(Debug, Clone, Copy)]
pub struct MenuEntry {
    /// The page that the entry leads to.
    pub path: &'static str,
    /// The entry in the visitor's language.
    pub words: &'static str,
    /// Is it the current page?
    pub here: bool,
    /// Does it show the number of undecided transactions?
    pub counts: bool,
}

/// The entries of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the page of that name")]
pub enum Page {
    Home,
    Accounts,
    History,
    Transact,
    Cash,
    NewClient,
    NewAccount,
    Pending,
    Audit,
    Demo,
    LogIn,
}

impl Page {
    /// The pages of the menu, in its order; the page to log in is not in it.
    pub const ALL: [Page; 10] = [
        Page::Home,
        Page::Accounts,
        Page::History,
        Page::Transact,
        Page::Cash,
        Page::NewClient,
        Page::NewAccount,
        Page::Pending,
        Page::Audit,
        Page::Demo,
    ];

    /// The route of the page.
    pub fn path(self) -> &'static str {
        match self {
            Page::Home => "/",
            Page::Accounts => "/painel/contas",
            Page::History => "/painel/historico",
            Page::Transact => "/painel/transacao",
            Page::Cash => "/painel/caixa",
            Page::NewClient => "/painel/cliente",
            Page::NewAccount => "/painel/conta",
            Page::Pending => "/painel/pendentes",
            Page::Audit => "/painel/auditoria",
            Page::Demo => "/painel/demo",
            Page::LogIn => "/painel/entrar",
        }
    }

    /// The page's title in this language.
    pub fn title(self, lang: Lang) -> &'static str {
        let t = texts(lang);
        match self {
            Page::Home => t.home,
            Page::Accounts => t.accounts,
            Page::History => t.history,
            Page::Transact => t.transact,
            Page::Cash => t.cash,
            Page::NewClient => t.new_client,
            Page::NewAccount => t.new_account,
            Page::Pending => t.pending,
            Page::Audit => t.audit,
            Page::Demo => t.demo,
            Page::LogIn => t.log_in,
        }
    }
}
