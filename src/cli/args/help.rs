//! The help in Portuguese: each sentence by its English one, and the headings.
//!
//! Examples stay as they are typed; only the words above them are translated.

use crate::language::{Lang, help_lang};
use clap::Command;
use consorcio_system::switches::{HelpTexts, help_in_portuguese};

/// The examples of the program itself.
const EXAMPLES: &str = "\
Exemplos:
  cliente                         põe storage em 1 em todos os bancos, e mostra
                                  cada voto
  cliente definir 42              um valor: todo banco o muda, ou nenhum
  cliente definir 42 --passo      ... com uma pausa depois de cada fase
  cliente cliente cadastrar --banco 0 --cpf 11111111111 --nome \"Maria Souza\"
  cliente conta abrir 0/12345-6 --cpf 11111111111 --deposito 1000
  cliente transferir --de 0/12345-6=200,50 --para 2/78910-0
  cliente transferir --de 0/12345-6=200 --de 1/45678-0=300 --para 2/78910-0
  cliente saldo 0/12345-6         uma conta é BANCO/NÚMERO
  cliente estado                  todos os bancos, e a soma do dinheiro
  cliente resolver TX             o resultado de uma transação
  cliente rastrear TX --svg t.svg o seu caminho por todos os nós, pelos logs
  cliente medir --proprios --clientes 64 --segundos 5
  cliente help transferir         cada comando tem os seus exemplos

Valores são digitados 200, 200.50 ou 200,50.
";

const AFTER: &str = "\
Formas de --saida:
  table  para pessoas, com cores num terminal (NO_COLOR as tira)
  tsv    uma linha de títulos, depois linhas com tabulações entre as células,
         valores como 1234.56, tempos como RFC 3339, erros na saída de erros
  json   um documento, valores em centavos, erros incluídos
Códigos de saída: 0 feito · 1 erro próprio · 2 uso · 3 sem conexão ·
            4 recusada ou abortada · 5 resultado ainda não conhecido ·
            130 interrompido";

/// Each sentence of the help, in English and in Portuguese. clap takes the last dot away.
#[rustfmt::skip]
const SENTENCES: &[(&str, &str)] = &[
    // Commands.
    ("Moves money between banks, all or nothing",
     "Move dinheiro entre bancos: tudo ou nada"),
    ("Set a replicated register to one value at every bank",
     "Define um registro replicado com o mesmo valor em todos os bancos"),
    ("Show a replicated register as each bank holds it",
     "Mostra um registro replicado como cada banco o guarda"),
    ("Register a client at a bank", "Cadastra um cliente num banco"),
    ("Register a client; the same again changes nothing",
     "Cadastra um cliente; repetir não muda nada"),
    ("Folder with NAME.crt and NAME.key of --as, and ca-banks.crt: connects over TLS",
     "Pasta com NOME.crt e NOME.key de --como, e ca-banks.crt: conecta por TLS"),
    ("The name of this client's certificate in the folder of --tls",
     "O nome do certificado deste cliente na pasta de --tls"),
    ("List the clients of all banks", "Lista os clientes de todos os bancos"),
    ("Open an account at a bank", "Abre uma conta num banco"),
    ("Open an account; the same again changes nothing",
     "Abre uma conta; repetir não muda nada"),
    ("List the accounts of all banks", "Lista as contas de todos os bancos"),
    ("Show an account: its balance, held, available and incoming money",
     "Mostra uma conta: saldo, reservado, disponível e a receber"),
    ("Pay cash into an account", "Deposita dinheiro numa conta"),
    ("Pay cash out of an account", "Saca dinheiro de uma conta"),
    ("Move money from one or more accounts into others, at any banks, all or nothing",
     "Move dinheiro de uma ou mais contas para outras, em quaisquer bancos: tudo ou nada"),
    ("Show all banks: online or not, undecided transactions, totals; and the sum of all money",
     "Mostra todos os bancos: no ar ou não, transações em aberto, totais; e a soma do dinheiro"),
    ("Show which banks answer, and how fast; for scripts and health checks",
     "Mostra quais bancos respondem, e em quanto tempo; para scripts e verificações"),
    ("Show undecided transactions, and the banks whose votes are missing",
     "Mostra as transações em aberto, e os bancos cujo voto falta"),
    ("Show each undecided transaction once, oldest first: what banks hold for it, and whose votes \
      are missing",
     "Mostra cada transação em aberto uma vez, a mais antiga primeiro: o que os bancos reservam \
      para ela, e de quem falta o voto"),
    ("Show the outcome of a transaction; have the banks decide it if it is undecided",
     "Mostra o resultado de uma transação; se está em aberto, faz os bancos decidirem"),
    ("Show the last decided transactions", "Mostra as últimas transações decididas"),
    ("Prove that no centavo is missing, while everything runs or offline",
     "Prova que não falta nenhum centavo, com tudo no ar ou fora dele"),
    ("Show a transaction over all nodes, from their step logs; or find slow, aborted, doubtful \
      ones",
     "Mostra uma transação em todos os nós, pelos seus logs; ou acha as lentas, abortadas, \
      duvidosas"),
    ("Show the steps of all banks and clients as they happen, from their step logs",
     "Mostra os passos de todos os bancos e clientes enquanto acontecem, pelos seus logs"),
    ("Show all banks on one screen: throughput, latency, undecided transactions, queue, syncs",
     "Mostra todos os bancos numa tela: vazão, tempo, transações em aberto, fila, gravações"),
    ("Have many clients contend for few accounts, verify every outcome, and give a verdict",
     "Faz muitos clientes disputarem poucas contas, verifica cada resultado e dá um veredito"),
    ("Measure throughput and latency of transfers between banks",
     "Mede a vazão e o tempo de transferências entre bancos"),
    ("Type commands line by line, with history and completion; or run a batch of them",
     "Lê comandos linha por linha, com histórico e sugestões; ou executa um lote deles"),
    ("Commands of the shell: those of cliente", "Comandos do terminal: os de cliente"),
    ("Print a script that completes commands, aliases and switches in a shell",
     "Escreve um script que completa comandos, nomes e opções num shell"),
    ("Print a man page, or write all of them", "Mostra uma página de manual, ou grava todas"),
    // What every command has.
    ("The banks, by position: host:port, bare ports of this machine, or 8886-8888; `-` where one \
      left",
     "Os bancos, por posição: host:porta, só portas desta máquina, ou 8886-8888; `-` onde um saiu"),
    ("This client's name; its step log is named after it. Stands before the command. Without one: \
      cliente-1, or the next that no other process has",
     "O nome deste cliente, que nomeia o seu log. Vem antes do comando. Sem ele: cliente-1, ou o \
      próximo que nenhum outro processo usa"),
    ("Folder of the step log", "Pasta do log de passos"),
    ("Time-out of a bank to connect, vote and answer, as in 500ms or 10s; 3 s more where it waits \
      for other banks",
     "Prazo de um banco para conectar, votar e responder, como 500ms ou 10s; 3 s a mais quando \
      espera por outros bancos"),
    ("Print one JSON document, errors included; amounts are in centavos. The same as --output json",
     "Escreve um documento JSON, erros incluídos; valores em centavos. O mesmo que --saida json"),
    ("Print one JSON document, errors included; amounts are in centavos",
     "Escreve um documento JSON, erros incluídos; valores em centavos"),
    ("Form of the output; by default tables on a terminal, tab-separated rows in a pipe",
     "Forma da saída; sem ela, tabelas num terminal, linhas com tabulações num pipe"),
    ("Form of the output of this line", "Forma da saída desta linha"),
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
    // Transactions.
    ("Let this bank drive the transaction (EXECUTE), instead of this program",
     "Deixa este banco conduzir a transação (EXECUTE), em vez deste programa"),
    ("The transaction's id; generated if not given. The same id never runs twice",
     "O identificador da transação; gerado se não for dado. O mesmo nunca executa duas vezes"),
    ("Seconds until the banks decide the transaction by themselves (at most 300)",
     "Segundos até os bancos decidirem a transação sozinhos (no máximo 300)"),
    ("Show each phase and pause after it: Enter goes on (the first one commits), Ctrl-C leaves the \
      transaction to the banks. They wait 300 s for a person, unless --patience says otherwise",
     "Mostra cada fase e pausa depois dela: Enter segue (o primeiro efetiva), Ctrl-C deixa a \
      transação com os bancos. Eles esperam 300 s por uma pessoa, se --paciencia não disser outra \
      coisa"),
    ("An account, as BANK/NUMBER, and the amount to debit; may be repeated. @CPF after the amount \
      names a holder to be checked",
     "Uma conta, BANCO/NÚMERO, e o valor a debitar; pode se repetir. @CPF depois do valor nomeia \
      um titular a conferir"),
    ("An account to credit, with =AMOUNT or without; may be repeated. One without an amount gets \
      the rest",
     "Uma conta a creditar, com =VALOR ou sem; pode se repetir. Uma sem valor recebe o resto"),
    ("The amount, above zero", "O valor, acima de zero"),
    ("A holder of that account, to be checked", "Um titular dessa conta, a conferir"),
    ("The new value, kept as given", "O novo valor, guardado como foi dado"),
    ("The key of the register", "A chave do registro"),
    ("The id of the transaction", "O identificador da transação"),
    // Clients and accounts.
    ("Only those of this bank", "Só os deste banco"),
    ("Show whose transaction each is (closed mode)",
     "Mostra de quem é cada transação (modo fechado)"),
    ("Only those of this holder", "Só as deste titular"),
    ("The account, as BANK/ACCOUNT", "A conta, BANCO/CONTA"),
    ("The account, as BANK/ACCOUNT; its number is unique at that bank",
     "A conta, BANCO/CONTA; o seu número é único nesse banco"),
    ("The position of the bank", "A posição do banco"),
    ("The position of the bank, with --number instead of BANK/ACCOUNT",
     "A posição do banco, com --numero em vez de BANCO/CONTA"),
    ("The number of the account, with --bank instead of BANK/ACCOUNT",
     "O número da conta, com --banco em vez de BANCO/CONTA"),
    ("CPF, 11 digits, or CNPJ, 14 characters; dots, dashes and slashes may be typed",
     "CPF, 11 dígitos, ou CNPJ, 14 caracteres; pode ter pontos, traços e barras"),
    ("Name, kept as given", "Nome, guardado como foi dado"),
    ("Kind, kept as given", "Tipo, guardado como foi dado"),
    ("Its holder; given twice, the account is joint",
     "O titular; dado duas vezes, a conta é conjunta"),
    ("Cash paid in at the opening", "Dinheiro depositado na abertura"),
    // Overviews.
    ("Repeat it this often, until Ctrl-C; on a terminal, on one screen",
     "Repete com este intervalo, até Ctrl-C; num terminal, numa só tela"),
    ("Retry until all answer, for at most this long, as in 10s, 500ms or 2m",
     "Insiste até todos responderem, no máximo por este tempo, como 10s, 500ms ou 2m"),
    ("Ping only this bank", "Sonda só este banco"),
    ("Number of transactions from each bank", "Número de transações de cada banco"),
    ("Also show each account and register", "Mostra também cada conta e registro"),
    ("Repeat it, each cut newer than the one before; Ctrl-C ends with a summary",
     "Repete, cada corte mais novo que o anterior; Ctrl-C encerra com um resumo"),
    ("Verify these data folders instead, or all in a parent folder. They are not changed",
     "Verifica estas pastas de dados, ou todas de uma pasta acima. Elas não mudam"),
    // Logs.
    ("The transaction to show", "A transação a mostrar"),
    ("Folders or files of the nodes' step logs; --log-dir if not given",
     "Pastas ou arquivos dos logs dos nós; --pasta-log se não forem dados"),
    ("Folders or files of the banks' step logs; --log-dir if not given",
     "Pastas ou arquivos dos logs dos bancos; --pasta-log se não forem dados"),
    ("Draw it into this file, as a sequence diagram; - is standard output",
     "Desenha a transação neste arquivo, em SVG; - é a saída padrão"),
    ("List the transactions that took longest instead", "Lista as transações mais demoradas"),
    ("List the newest that were aborted instead", "Lista as abortadas mais recentes"),
    ("List those without an outcome in the logs instead, oldest first",
     "Lista as que não têm resultado nos logs, a mais antiga primeiro"),
    ("Only steps of this bank; may be repeated", "Só passos deste banco; pode se repetir"),
    ("Only transactions that name this account, from the first step that names it",
     "Só transações que nomeiam esta conta, desde o primeiro passo que a nomeia"),
    ("Only these events, as in vote,outcome", "Só estes eventos, como em vote,outcome"),
    ("Only this transaction; may be repeated", "Só esta transação; pode se repetir"),
    ("Show whole lines; on a terminal they are cut at its width otherwise",
     "Mostra linhas inteiras; sem isto, num terminal são cortadas na sua largura"),
    ("How often the banks are asked", "O intervalo entre as perguntas aos bancos"),
    // Loads.
    ("Start three banks in a temporary folder, and remove them afterwards",
     "Inicia três bancos numa pasta temporária, e os remove depois"),
    ("Open its accounts at the running banks without confirmation; they and their money stay \
      permanently",
     "Abre as suas contas nos bancos no ar sem confirmação; elas e o seu dinheiro ficam para \
      sempre"),
    ("Clients at work at the same time, each with one connection a bank",
     "Clientes ao mesmo tempo, cada um com uma conexão por banco"),
    ("Transactions each client has under way, at most; 1 if not given, or 64 with --rate",
     "Transações em curso por cliente, no máximo; 1 se não for dado, ou 64 com --taxa"),
    ("Begin this many transactions a second in all, evenly spread (open loop); without it a client \
      begins the next one when one has ended (closed loop)",
     "Começa tantas transações por segundo ao todo, espaçadas por igual (laço aberto); sem isto um \
      cliente começa a próxima quando uma termina (laço fechado)"),
    ("Measured time, in seconds", "Tempo medido, em segundos"),
    ("Warm-up before it, in seconds", "Aquecimento antes dele, em segundos"),
    ("Accounts at each bank; 1 makes one hot account a bank",
     "Contas em cada banco; 1 faz uma conta disputada por banco"),
    ("Make one account of the first bank part of every transfer",
     "Põe uma conta do primeiro banco em toda transferência"),
    ("Repeat the run this many times; the figures are medians",
     "Repete a rodada tantas vezes; os números são medianas"),
    ("Print rows with commas between cells", "Escreve linhas com vírgulas entre as células"),
    ("What each transaction does", "O que cada transação faz"),
    ("Let the banks drive (EXECUTE), instead of this program",
     "Deixa os bancos conduzirem (EXECUTE), em vez deste programa"),
    ("Duration of the run, in seconds", "Duração da disputa, em segundos"),
    ("Kinds of requests, each with its share", "Tipos de pedidos, cada um com a sua parte"),
    ("Accounts at each bank; they are this run's own", "Contas em cada banco, só desta disputa"),
    ("Percentage of accesses that use a bank's first account instead of a random one",
     "Porcentagem de acessos à primeira conta de um banco em vez de uma ao acaso"),
    ("The same seed makes the same requests again; chosen and printed if not given",
     "A mesma semente repete os mesmos pedidos; escolhida e mostrada se não for dada"),
    ("Requests a second of all clients together; as fast as they can if not given",
     "Pedidos por segundo de todos os clientes juntos; o mais rápido possível se não for dado"),
    ("At the end, undecided transactions and banks that are down get this long",
     "No fim, transações em aberto e bancos fora do ar têm este tempo"),
    ("Give each client a name and a step log of its own, NAME-1, NAME-2, …",
     "Dá a cada cliente um nome e um log próprios, NOME-1, NOME-2, …"),
    ("Write a report with charts into this file, a page that needs no network",
     "Grava neste arquivo um relatório com gráficos, uma página que não usa a rede"),
    // Shells and manuals.
    ("Run the lines of this file; - is standard input, the default if that is no terminal",
     "Executa as linhas deste arquivo; - é a entrada padrão, usada se ela não é um terminal"),
    ("Go on after a line that fails", "Segue depois de uma linha que falha"),
    ("The shell to complete for", "O shell a completar"),
    ("The page of this command, as in `man journal` or `man account open`; without one, of the \
      program",
     "A página deste comando, como em `man journal` ou `man account open`; sem ele, do programa"),
    ("Write the pages of all commands into this folder",
     "Grava as páginas de todos os comandos nesta pasta"),
];

const TEXTS: HelpTexts = HelpTexts { sentence, before: EXAMPLES, after: AFTER };

/// The command with its help in the language that was asked for.
pub(crate) fn in_language(command: Command) -> Command {
    match help_lang() {
        Lang::En => command,
        Lang::Pt => help_in_portuguese(command, &TEXTS),
    }
}

/// The sentence in Portuguese; itself if the table does not have it.
fn sentence(english: &str) -> String {
    let known = SENTENCES.iter().find(|(known, _)| *known == english);
    known.map_or(english, |(_, portuguese)| portuguese).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::BilingualArguments;
    use super::*;
    use clap::{Arg, CommandFactory};

    #[test]
    fn every_sentence_has_its_portuguese() {
        fn check(command: &Command, missing: &mut Vec<String>) {
            let helps = command.get_arguments().filter_map(Arg::get_help).map(ToString::to_string);
            let about = command.get_about().map(ToString::to_string);
            missing.extend(helps.chain(about).filter(|english| sentence(english) == *english));
            command.get_subcommands().for_each(|below| check(below, missing));
        }
        let mut missing = Vec::new();
        check(&BilingualArguments::command(), &mut missing);
        assert_eq!(missing, [""; 0], "add them to SENTENCES");
    }

    #[test]
    fn the_help_of_each_command_is_in_portuguese() {
        fn check(command: &mut Command, seen: &mut usize) {
            let help = command.render_long_help().to_string();
            for english in [
                "Forms of",
                "Exit codes",
                "Usage:",
                "Options:",
                "Commands:",
                "Arguments:",
                "Examples:",
            ] {
                assert!(!help.contains(english), "{english} in the help:\n{help}");
            }
            assert!(help.contains("Uso: ") && help.contains("Mostra esta ajuda"), "{help}");
            *seen += 1;
            let below = command.get_subcommands_mut().filter(|below| below.get_name() != "help");
            below.for_each(|below| check(below, seen));
        }
        let mut seen = 0;
        let mut command = help_in_portuguese(BilingualArguments::command(), &TEXTS);
        command.clone().debug_assert();
        let printed = command.clone().try_get_matches_from(["cliente", "help", "transfer"]);
        let printed = printed.unwrap_err().to_string();
        assert!(
            printed.contains("Uso: cliente transfer") && printed.contains("--para"),
            "{printed}"
        );
        check(&mut command, &mut seen);
        assert!(seen >= 20, "{seen}");
    }
}
