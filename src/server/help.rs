//! The command line of `servidor` with its help in the language of the person.

use crate::args::Cli;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use consorcio_system::switches::{HelpTexts, help_in_portuguese};
use consorcio_words::Lang;
use consorcio_words::process::help_lang;
use std::ffi::OsString;

const EXAMPLES: &str = "\
Três terminais fazem um consórcio:

    servidor --port 8886
    servidor --port 8887
    servidor --port 8888
";

const AFTER: &str = "\
Uma opção vale mais que a sua variável de ambiente, esta mais que o arquivo de
configurações (consorcio.toml ao lado da pasta de dados, ou --config ARQUIVO),
e este mais que o padrão.
";

/// Each sentence of the help, in English and in Portuguese. clap takes the last dot away.
#[rustfmt::skip]
const SENTENCES: &[(&str, &str)] = &[
    ("One bank of a consortium", "Um banco de um consórcio"),
    // Commands.
    ("Makes a fresh consortium key in a new file that only you can read",
     "Faz uma chave nova de consórcio num arquivo novo que só você pode ler"),
    ("The file to make; one that is there is never overwritten",
     "O arquivo a fazer; um que existe nunca é sobrescrito"),
    ("A key file that is there already is no error, if it holds a key",
     "Um arquivo que já existe não é um erro, se tem uma chave"),
    ("Makes the certificates of closed mode: the CAs, and those of banks and clients",
     "Faz os certificados do modo fechado: as autoridades, e os dos bancos e clientes"),
    ("The folder of the CAs, on a machine that is no bank",
     "A pasta das autoridades, numa máquina que não é banco"),
    ("Makes two CAs, one for banks and one for clients, and the consortium's key",
     "Faz duas autoridades, uma para bancos e uma para clientes, e a chave do consórcio"),
    ("Makes other CAs beside those that are there", "Faz outras autoridades ao lado das que há"),
    ("Makes the certificate of a bank", "Faz o certificado de um banco"),
    ("The position of the bank", "A posição do banco"),
    ("A name or address by which browsers call its HTTP, in a certificate of its own; may be \
      repeated",
     "Um nome ou endereço pelo qual navegadores chamam o seu HTTP, num certificado à parte; pode \
      se repetir"),
    ("Replaces the certificate of the same bank", "Troca o certificado do mesmo banco"),
    ("Makes the certificate of a person or program",
     "Faz o certificado de uma pessoa ou de um programa"),
    ("Its name: 1 to 24 of a-z 0-9 -, never given to a second one",
     "O seu nome: 1 a 24 de a-z 0-9 -, nunca dado a uma segunda"),
    ("Replaces the certificate of the same person or program",
     "Troca o certificado da mesma pessoa ou programa"),
    ("Prints all names that were given out, and until when their certificates count",
     "Mostra todos os nomes que foram dados, e até quando valem os certificados"),
    ("Makes a bearer token, by which a program proves its name to this bank over HTTP",
     "Faz um token, com que um programa prova o seu nome a este banco por HTTP"),
    ("Whose token it is: a name in access.toml", "De quem é o token: um nome em access.toml"),
    ("The folder of the bank, as for a start", "A pasta do banco, como para iniciar"),
    ("For how many days it counts", "Por quantos dias vale"),
    ("Removes all tokens of the name instead", "Em vez disso, remove todos os tokens do nome"),
    ("Sets the password by which a person logs in to this bank's panel: typed twice, or a line of \
      standard input",
     "Define a senha com que uma pessoa entra no painel deste banco: digitada duas vezes, ou uma \
      linha da entrada padrão"),
    ("Whose password it is: a name in access.toml", "De quem é a senha: um nome em access.toml"),
    ("Makes a random password and prints it, once", "Faz uma senha aleatória e a mostra, uma vez"),
    ("Removes the password of the name instead", "Em vez disso, remove a senha do nome"),
    ("Prints every record of a journal, one line each, and checks it: code 1 where it is damaged. \
      The bank may run meanwhile",
     "Mostra cada registro de um diário, um por linha, e o verifica: código 1 se está danificado. \
      O banco pode rodar enquanto isso"),
    ("Replays a journal and compares its snapshots with the replay: code 1 where one differs. The \
      bank may run meanwhile",
     "Refaz um diário e compara os seus snapshots com o resultado: código 1 onde um difere. O \
      banco pode rodar enquanto isso"),
    ("The journal's folder, for example data/bank-0", "A pasta do diário, como data/bank-0"),
    ("Prints a script that completes commands and switches in a shell",
     "Escreve um script que completa comandos e opções num shell"),
    ("The shell to complete for", "O shell a completar"),
    ("Prints a man page, or writes all of them", "Mostra uma página de manual, ou grava todas"),
    ("The page of this command, as in `man journal` or `man account open`; without one, of the \
      program",
     "A página deste comando, como em `man journal` ou `man account open`; sem ele, do programa"),
    ("Write the pages of all commands into this folder",
     "Grava as páginas de todos os comandos nesta pasta"),
    ("Checks settings, key, journal, ports and step log as a start does, and starts nothing: code \
      0 if this bank can start",
     "Verifica configurações, chave, diário, portas e log de passos como um início, e não inicia \
      nada: código 0 se este banco pode iniciar"),
    ("Asks the bank that runs with these settings whether it works: code 0 if it does",
     "Pergunta ao banco que roda com estas configurações se trabalha: código 0 se sim"),
    // How a bank is run.
    ("The port to listen on; 0 takes a free one (then give --bank, and --port-file to learn it)",
     "A porta em que escuta; 0 toma uma livre (dê então --bank, e --port-file para sabê-la)"),
    ("The address to listen on", "O endereço em que escuta"),
    ("All banks by position: host:port, bare ports or a range (8886-8888), `-` where a bank left",
     "Todos os bancos por posição: máquina:porta, só portas ou uma faixa (8886-8888), `-` onde um \
      saiu"),
    ("This bank's position, where its own address does not tell it",
     "A posição deste banco, onde o seu endereço não a diz"),
    ("The journal lives in DIR/bank-POSITION/", "O diário fica em PASTA/bank-POSIÇÃO/"),
    ("Accept a list in which every bank has another address than in the journal",
     "Aceita uma lista em que todo banco tem outro endereço que no diário"),
    ("The step log is DIR/servidor-PORT.log", "O log de passos é PASTA/servidor-PORTA.log"),
    ("The consortium's key (make one: servidor key FILE); where all banks are on this machine's \
      loopback, the first one makes it in the data folder",
     "A chave do consórcio (faça uma: servidor key ARQUIVO); onde todos os bancos estão nesta \
      máquina, o primeiro a faz na pasta dos dados"),
    ("Accepts another key than the one that this bank's journal knows, once",
     "Aceita uma vez outra chave que a que o diário deste banco conhece"),
    ("Closed mode: TLS with the certificates and keys in this folder (make them: servidor certs); \
      every client and bank has a name there",
     "Modo fechado: TLS com os certificados e chaves nesta pasta (faça-os: servidor certs); nele \
      cada cliente e banco tem um nome"),
    ("Banks that a bank with a new journal does not wait for before it takes part, by position: \
      those that are down and have never met it",
     "Bancos que um banco de diário novo não espera antes de tomar parte, por posição: os que \
      estão parados e nunca o encontraram"),
    ("Whether the step log is written", "Se o log de passos é gravado"),
    ("Bytes of a step log before it is rotated; 0: never",
     "Bytes de um log de passos antes de rodar; 0: nunca"),
    ("Rotated step logs that are kept at most, compressed",
     "Logs rodados que são guardados no máximo, comprimidos"),
    ("Transactions whose step logs are kept, within --log-keep; older logs are removed",
     "Transações cujos logs são guardados, dentro de --log-keep; logs mais antigos são removidos"),
    ("Starts by this machine's clock also where it shows a date that is far from all that is known",
     "Inicia pelo relógio desta máquina mesmo se ele mostra uma data longe de tudo o que se sabe"),
    ("A file that gets the port, once it is known",
     "Um arquivo que recebe a porta, quando ela é conhecida"),
    // HTTP.
    ("Serves the JSON routes here: host:port, or a port of this machine's loopback",
     "Atende as rotas JSON aqui: máquina:porta, ou uma porta só desta máquina"),
    ("An origin of another site whose pages may use the routes, like `https://example.org`; may be \
      repeated",
     "Uma origem de outro site cujas páginas podem usar as rotas, como `https://example.org`; pode \
      se repetir"),
    ("A name by which HTTP is called, such as that of a proxy before it (an address needs none); \
      may be repeated",
     "Um nome pelo qual HTTP é chamado, como o de um proxy à sua frente (um endereço não precisa); \
      pode se repetir"),
    ("Lets the panel stop, freeze, kill and restart the banks that name this same folder: for \
      demonstrations, on loopback only; the folder must be yours alone",
     "Deixa o painel parar, congelar, matar e reiniciar os bancos que nomeiam esta mesma pasta: \
      para demonstrações, só nesta máquina; a pasta deve ser só sua"),
    // What both programs have.
    ("Language of messages, pt or en; that of LANG if not given",
     "Língua das mensagens, pt ou en; a de LANG se não for dada"),
    ("Takes settings from this TOML file; without it, from consorcio.toml beside the data folder, \
      if there is one",
     "Lê configurações deste arquivo TOML; sem ele, de consorcio.toml ao lado da pasta de dados, \
      se houver"),
    ("Shows each step on standard error as it is written to the step log; -vv shows what happens \
      between the steps too. RUST_LOG filters finer, as in consorcio_peers=debug",
     "Mostra cada passo na saída de erros quando vai para o log; -vv mostra também o que acontece \
      entre os passos. RUST_LOG filtra melhor, como em consorcio_peers=debug"),
    ("How lines on standard error and in the step log are written: text, or one JSON object a line",
     "Como são as linhas na saída de erros e no log de passos: texto, ou um objeto JSON por linha"),
];

const TEXTS: HelpTexts = HelpTexts { sentence, before: EXAMPLES, after: AFTER };

/// The command line, with its help in the language that was asked for.
#[derive(Debug)]
pub(crate) struct LocalizedCli(pub(crate) Cli);

impl CommandFactory for LocalizedCli {
    fn command() -> Command {
        match help_lang() {
            Lang::En => Cli::command(),
            Lang::Pt => help_in_portuguese(Cli::command(), &TEXTS),
        }
    }

    fn command_for_update() -> Command {
        Cli::command_for_update()
    }
}

impl FromArgMatches for LocalizedCli {
    fn from_arg_matches(matches: &ArgMatches) -> Result<LocalizedCli, clap::Error> {
        Cli::from_arg_matches(matches).map(LocalizedCli)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// The words of a command line with `--lang` at their end: clap takes no switch before a command of
/// this program, as all others are those of a bank.
pub(crate) fn lang_last(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut moved) = (Vec::new(), Vec::new());
    let mut words = words.peekable();
    while let Some(word) = words.next_if(|word| word != "--") {
        match word.to_str() {
            Some("--lang") => {
                moved.push(word);
                moved.extend(words.next_if(|word| word != "--"));
            }
            Some(text) if text.starts_with("--lang=") => moved.push(word),
            Some(_) | None => kept.push(word),
        }
    }
    kept.into_iter().chain(moved).chain(words).collect()
}

/// The sentence in Portuguese; itself if the table does not have it.
fn sentence(english: &str) -> String {
    let known = SENTENCES.iter().find(|(known, _)| *known == english);
    known.map_or(english, |(_, portuguese)| portuguese).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    #[test]
    fn the_language_may_stand_anywhere() {
        let last = |line: &str| {
            let words = lang_last(line.split(' ').map(OsString::from)).into_iter();
            words.map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(last("s --lang pt journal d"), "s journal d --lang pt");
        assert_eq!(last("s --lang=pt -- --lang en"), "s --lang=pt -- --lang en");
        assert_eq!(last("s key --lang"), "s key --lang");
    }

    #[test]
    fn every_sentence_has_its_portuguese() {
        fn check(command: &Command, missing: &mut Vec<String>) {
            let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
            let helps = shown.filter_map(Arg::get_help).map(ToString::to_string);
            let about = command.get_about().map(ToString::to_string);
            missing.extend(helps.chain(about).filter(|english| sentence(english) == *english));
            command.get_subcommands().for_each(|below| check(below, missing));
        }
        let mut missing = Vec::new();
        check(&Cli::command(), &mut missing);
        assert_eq!(missing, [""; 0], "add them to SENTENCES");
        help_in_portuguese(Cli::command(), &TEXTS).debug_assert();
    }
}
