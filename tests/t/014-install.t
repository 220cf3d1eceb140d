# make install brings all that the manuals name, make uninstall leaves nothing, and a configuration that was changed stays.
use v5.36;
use Registry limit => 200;
use Cwd ();
use Registry::Checks;
use Registry::Manual;
use Registry::Tools;
use Test::More;

BEGIN { need('make') }
my $build = Registry->program =~ s{/[^/]*\z}{}r;
plan skip_all => "$build has no Makefile" if !-e "$build/Makefile";
my $top  = Cwd::abs_path($ENV{srcdir} // '../..');
my $root = tempdir();
my %make = map { /^(\w+) = (\S+)$/ ? ($1 => $2) : () } split /\n/, slurp("$build/Makefile");
my $prefix = $make{prefix};

sub make (@args) { return run([ 'make', '-s', '-C', $build, @args, "DESTDIR=$root" ], timeout => 150) }
sub files () { return split /\n/, run([ 'find', $root, '(', '-type', 'f', '-o', '-type', 'l', ')', '-printf', '/%P\n' ])->{out} }
sub installed () { return { map { $_ => 1 } files() } }

works(make('install'), 'make install');
my $all = installed();
my $doc = "$prefix/share/doc/docker-registry-server";

subtest 'all that there is' => sub {
    for my $page (map { s{.*/}{}r } glob "$top/src/man/*.[1-8]") {
        my ($section) = $page =~ /(\d)$/;
        ok($all->{"$prefix/share/man/man$section/$page"}, $page);
    }
    my %from = (
        'README' => 'README', 'COPYING' => 'COPYING', 'original-listing' => 'contrib/original-listing',
        'grafana/docker-registry-server.json' => 'contrib/grafana/docker-registry-server.json',
        (map { my $name = s{.*/}{}r; ("fail2ban/$name" => "contrib/fail2ban/$name") } glob "$top/contrib/fail2ban/*"),
        (map { my $name = s{.*/}{}r; ("samples/$name" => "contrib/samples/$name") } glob "$top/contrib/samples/*"),
        (map { my $name = s{.*/}{}r; ("hooks/$name" => "hooks/$name") } glob "$top/hooks/*.sample"),
    );
    is(slurp("$root$doc/$_"), slurp("$top/$from{$_}"), $_) for sort keys %from;
    my ($unit) = grep { m{/docker-registry-server\.service$} } keys %$all;
    my ($program, $conf) = slurp("$root$unit") =~ /^ExecStart=(\S+) --config (\S+)$/m;
    ok($all->{$program}, 'the unit starts what is there');
    ok($all->{$conf}, '... with the configuration that is there');
    like(slurp("$root$prefix/lib/sysusers.d/docker-registry-server.conf"), qr/^u\s+docker-registry\s/m, 'the user is made');
    like(slurp("$root$prefix/lib/tmpfiles.d/docker-registry-server.conf"), qr{^d\s+/var/lib/docker-registry-server\s}m, '... and the directory');
    is(run([ "$root$program", '--version' ])->{exit}, 0, 'the program runs from there');
    my $bash = run([ 'bash', '-c', '. "$1" && complete -p docker-registry-server', 'bash', "$root$prefix/share/bash-completion/completions/docker-registry-server" ]);
    is($bash->{exit}, 0, 'bash takes the completion') or diag($bash->{err});
};

# What a manual names as a file of this program, by its name or with directories in front of it: of the sources, of a name below
# the documentation, or of an absolute path below the prefix.
subtest 'what the manuals name' => sub {
    my %in_sources = map { chomp; $_ => 1 } map { s{^\Q$top\E/}{}r } glob("$top/contrib/*/* $top/contrib/* $top/hooks/*");
    my (%known, @named, @missing);
    push @{ $known{ s{.*/}{}r } }, $_ for keys %$all;
    for my $page (manual_pages()) {
        my $text = manual_source($page) =~ s/^\.\\".*\n//mgr =~ s/\\-/-/gr;
        $text =~ s/\btag\.sample\b|\/usr\/local\/sbin\b//g;    # an example of any name; a directory of a PATH
        for my $word ($text =~ m{(?<![\w/.-])((?:contrib/|hooks/|grafana/|fail2ban/|samples/|lib/|/usr/local/)?[\w./-]*[\w/])}g) {
            my $name = $word =~ s{.*/}{}r;
            if ($word =~ m{^/usr/local/}) {
                my $there = $prefix . $word =~ s{^/usr/local}{}r;
                push @named, $word;
                push @missing, "$page: $word" if !$all->{$there} && !-d "$root$there";
            } elsif ($word =~ m{^(?:grafana|fail2ban|samples)/}) {
                push @named, $word;
                push @missing, "$page: $word" if !$all->{"$doc/$word"} && !-d "$root$doc/$word";
            } elsif ($word =~ m{^lib/\w+\.d/}) {
                push @named, $word;
                push @missing, "$page: $word" if !$all->{"$prefix/$word"};
            } elsif ($word =~ m{\w\.sample$} || $in_sources{"contrib/$name"} && $name =~ /-/) {
                push @named, $word;
                push @missing, "$page: $word" if !$known{$name} && $word !~ m{^NAME};
            } elsif ($word =~ m{^contrib/}) {
                push @named, $word;
                push @missing, "$page: $word isn't in the sources" if !-e "$top/$word";
            }
        }
        push @missing, map { "$page: $_" } grep { !$known{ s/\((\d)\)/.$1/r } } map { s/ //gr } $text =~ /(docker-registry-server[a-z-]* ?\(\d\))/g;
    }
    cmp_ok(scalar @named, '>', 10, 'files are named');
    is_deeply(\@missing, [], 'each of them is there') or diag(explain(\@missing));
};

subtest 'README, too' => sub {
    my $text = slurp("$root$doc/README");
    my @pages = $text =~ /^    (docker-registry-server[a-z-]*\(\d\))  /mg;
    cmp_ok(scalar @pages, '>', 4, 'it lists the manual pages');
    ok($all->{"$prefix/share/man/man" . s/.*\((\d)\)/$1/r . '/' . s/\((\d)\)/.$1/r}, $_) for @pages;
};

subtest 'again, and away' => sub {
    my ($conf) = grep { m{/docker-registry-server\.conf$} && !m{/lib/} } keys %$all;
    spew("$root$conf", slurp("$root$conf") . "# changed\n");
    works(make('install'), 'make install, over what is there');
    like(slurp("$root$conf"), qr/^# changed$/m, 'a configuration that was changed stays');
    works(make('uninstall'), 'make uninstall');
    is_deeply([ files() ], [$conf], '... leaves that file alone');
    unlink "$root$conf";
    works(make('install'), 'make install');
    is_deeply(installed(), $all, 'the same files again');
    works(make('uninstall'), 'make uninstall');
    is_deeply([ files() ], [], '... leaves no file');
    is(run([ 'find', $root, '-name', '*docker-registry*' ])->{out}, '', '... and no directory of its own');
};
finish();
