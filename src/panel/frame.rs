//! What stands around every page: the menu, the language, where one is.

use super::texts::{Lang, Texts};

/// What stands around every page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The language of all words on the page.
    pub lang: Lang,
    /// The position of the bank that serves it.
    pub bank: u8,
    /// Where this bank speaks the line protocol.
    pub address: String,
    /// Which entry of the menu the page belongs to.
    pub here: Page,
    /// The page's own path with its query, for the language switch to come back to.
    pub path: String,
    /// Was the consortium started as a demonstration?
    pub demo: bool,
    /// Undecided transactions at this bank.
    pub undecided: u64,
    /// How this bank's commit times stand to its machine's clock, in words, where they are apart.
    pub clock: Option<String>,
    /// What was done just before, in words.
    pub done: Option<&'static str>,
}

impl Frame {
    /// The words of the visitor's language.
    pub fn t(&self) -> &'static Texts {
        self.lang.texts()
    }

    /// The words of the menu for this page.
    pub fn title(&self) -> &'static str {
        self.here.title(self.lang)
    }

    /// The menu. A demonstration's page stands there only in a demonstration.
    pub fn menu(&self) -> Vec<MenuEntry> {
        Page::ALL
            .into_iter()
            .filter(|page| *page != Page::Demo || self.demo)
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
    /// Is it the present page?
    pub here: bool,
    /// Does it carry the number of undecided transactions?
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
}

impl Page {
    /// In the menu's order.
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
        }
    }

    /// The page's title in this language.
    pub fn title(self, lang: Lang) -> &'static str {
        let t = lang.texts();
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
        }
    }
}
