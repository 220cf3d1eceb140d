# "help" shows the manual pages, whole, on a terminal and elsewhere.
use v5.36;
use Registry limit => 60;
use Registry::Manual;
use Registry::Tools;
use Test::More;

my $program = Registry->program;
my %file    = map { (m{^\.} ? 'serve' : s/\.\d$//r) . '.' . s/.*\.//r => $_ } manual_pages();

sub help (@args) { return Registry->try([ 'help', @args ]) }

my @topics;
subtest 'topics' => sub {
    my $ran = help();
    is($ran->{exit}, 0,  'the list');
    is($ran->{err},  '', '... without a complaint');
    my @lines = split /\n/, $ran->{out};
    is(scalar @lines, scalar keys %file, '... has a line for each page');
    is(scalar(grep { length > 80 || !/^  \S+ {2,}\S/ } @lines), 0, '... with its topic and what it is about') or diag($ran->{out});
    @topics = map { (split)[0] } @lines;
    my %there = map { $_ => 1 } @topics;
    is_deeply([ grep { !$there{$_} } qw(serve user access hooks hooks.5 config api nginx import export print-nginx-conf help) ], [], '... those that the manual names');

    my $unknown = help('nothing');
    is($unknown->{exit}, 2,  'an unknown topic: exit code 2');
    is($unknown->{out},  '', '... prints no page');
    like($unknown->{err}, qr/^  hooks\.5 .*unknown topic nothing: choose/ms, '... but the list, and what is wrong');
    is(help($_)->{exit}, 2, "$_ is no topic") for 'hooks.7', 'hooks(5', 'hooks(5))', 'docker-registry-serve', 'docker-registry-server-', 'docker-registry-serverx';
    is(help('user', 'hooks')->{exit}, 2, 'two topics are too many');
    my $all = Registry->try(['--help'])->{out};
    my %has = (user => '--json', access => '--json', hooks => '--json', import => '--prefix', export => '--output', 'print-nginx-conf' => '--tls-port', help => '');
    is_deeply([ grep { length > 80 || /\s$/ } map { split /\n/, Registry->try([@$_])->{out} } ['--help'], map { [ $_, '--help' ] } sort keys %has ],
        [], '--help has lines that fit');
    for my $command (sort keys %has) {
        my $short = Registry->try([ $command, '--help' ]);
        is($short->{exit}, 0, "$command --help ends well");
        my @of = $short->{out} =~ /^  (\Q$command\E\b.*)$/mg;
        is_deeply(\@of, [ $all =~ /^  (\Q$command\E\b.*)$/mg ], '... with the lines of that command');
        is(scalar(() = $short->{out} =~ /^  [a-z]/mg), scalar @of, '... and of no other');
        like($short->{out}, qr/^  \Q$has{$command}\E/m, '... its options');
        my @wrong = grep { $_ ne $has{$command} && $short->{out} =~ /^  $_\b/m } '--json', '--prefix', '--output', '--workers', '--tls-port';
        is_deeply(\@wrong, $command eq 'print-nginx-conf' ? ['--workers'] : [], '... and not those of others');
        like($short->{out}, qr/^See "docker-registry-server help $command"\.$/m, '... and its manual');
    }
    is(Registry->try([ 'user', 'add', '--help' ])->{out}, Registry->try([ 'user', '--help' ])->{out}, 'user add --help is that of user');
    like(Registry->try([ 'user', '--help' ])->{out}, qr/docker-registry-server help/, '--help of a command leads here');
};

# The words of a page, as another renderer says them.
sub words ($text) { return [ split ' ', $text =~ s/\+\x08o/*/gr =~ s/.\x08//gr ] }

subtest 'pages' => sub {
    for my $page (sort keys %file) {
        my ($topic, $section) = $page =~ /^(.*)\.(\d)$/;
        my $ran = help($page);
        is("$ran->{exit}$ran->{err}", 0, "help $page");
        is(help($topic)->{out}, $ran->{out}, '... without its section') if $page ne 'hooks.5';
        my $full = 'docker-registry-server' . ($topic eq 'serve' ? '' : "-$topic");
        is(help($_)->{out}, $ran->{out}, "... as $_") for "$topic($section)", "$full($section)", "$full.$section", $page eq 'hooks.5' ? () : $full;
        my @lines = split /\n/, $ran->{out};
        like($lines[0], qr/^DOCKER-REGISTRY-SERVER.*\($section\)$/, '... begins with its title');
        is_deeply([ grep { /^\.|^ *\.[A-Z]{1,2}(?: |$)/ || /\\[-fe(&]/ || /[^ -~]/ } @lines ], [], '... has no macro or escape left');
        my %example = map { s/^ +//r => 1 } manual_examples($file{$page});
        is_deeply([ grep { length > 78 && !$example{ s/^ +//r } } @lines ], [], '... has lines that fit')
            or diag(join "\n", grep { length > 78 } @lines);
        my %printed = map { s/^ +//r => 1 } @lines;
        is_deeply([ grep { !$printed{$_} } keys %example ], [], '... and has the examples as they are');
        SKIP: {
            skip 'mandoc is not installed', 1 if !find_program('mandoc');
            my $name  = 'docker-registry-server' . ($file{$page} =~ /^\./ ? '' : '-') . $file{$page};
            my $other = run([ 'mandoc', '-Tascii', '-Owidth=900', ($ENV{srcdir} // '.') . "/src/man/$name" ]);
            is_deeply(words($ran->{out} =~ s/\A.*\n//r), words($other->{out} =~ s/\A.*\n|.*\n\z//gr), '... and says what mandoc makes of it');
        }
    }
};

# Runs a command with a terminal for its output.
sub on_terminal ($path, $pager, @args) {
    return run([ find_program('script'), '-qec', "$program @args", '/dev/null' ],
        env => { PATH => $path, TERM => 'dumb', defined $pager ? (PAGER => $pager) : () });
}

subtest 'a terminal' => sub {
    if (!find_program('script')) {
        return fail('script is installed') if ($ENV{CI} // '') eq 'true';
        plan skip_all => 'script is not installed';
    }
    my $tmp = tempdir();
    mkdir "$tmp/$_" for qw(none less);
    my $shell = "#!/bin/sh\nPATH=/bin:/usr/bin\n";
    spew("$tmp/less/less", "${shell}echo shown by less, LESS=\$LESS; cat\n");
    spew("$tmp/pager",     "${shell}echo shown by pager; cat\n");
    spew("$tmp/quitter",   "${shell}exit 0\n");
    chmod 0755, "$tmp/less/less", "$tmp/pager", "$tmp/quitter";
    symlink '/bin/sh', "$tmp/$_/sh" for qw(none less);
    my $text = help('user')->{out};
    for my $case ([ 'with $PAGER', 'none', "$tmp/pager", "shown by pager\n" ], [ 'with less', 'less', undef, "shown by less, LESS=FRX\n" ],
        [ 'with neither', 'none', undef, '' ], [ 'with a pager that is not there', 'none', "$tmp/nothing", '' ]) {
        my ($name, $path, $pager, $first) = @$case;
        my $ran = on_terminal("$tmp/$path", $pager, 'help', 'user');
        is($ran->{exit}, 0, "$name: done");
        is($ran->{out} =~ tr/\r//dr, "$first$text", '... and the text is whole');
    }
    is(on_terminal("$tmp/none", "$tmp/quitter", 'help', 'api')->{exit}, 0, 'a reader that has seen enough is no failure');
};
finish();
