# "access check" and "access list" say what the rules mean, with a running server and without one.
use v5.36;
use JSON::PP;
use Registry limit => 60;
use Registry::Checks;
use Registry::Manual;
use Registry::Tools;
use Test::More;

sub access ($dir, @args) { return Registry->try([ 'access', @args, '--dir', $dir ]) }

sub check ($dir, $question, @more) { return access($dir, 'check', split(/ /, $question), @more) }

# Exit code, what stdout says, and what stderr says.
sub is_answer ($ran, $exit, $out, $err, $name) {
    is($ran->{exit}, $exit, $name) or diag($ran->{err});
    is($ran->{out},  $out,  '... with its line');
    like($ran->{err}, $err, '... and nothing else');
    return;
}

my $rules = <<"END";
# rules
team/secret/**   *          none
team/**\t\@devs   pull,push
** ci pull,create
{user}/** {user} all
public/** anonymous pull
END

sub write_rules ($dir, $text) {
    spew("$dir/auth/access", $text);
    spew("$dir/auth/groups", "# us\ndevs: ann\ndevs: bob\n");
    return;
}

# Rules as they are in $dir.
sub answers ($dir) {
    my $by   = 'by auth/access';
    my $devs = "$by:3: team/**\t\@devs   pull,push\n";
    is_answer(check($dir, 'ann pull team/x'), 0, "pull: allowed $devs", qr/^$/, 'a member of a group may pull');
    is_answer(check($dir, 'bob push team/a/b:1.0'), 0, "create: allowed ${devs}overwrite: allowed $devs", qr/^$/, 'push is create and overwrite');
    is_answer(check($dir, 'ann delete team/x'), 1, "delete: denied $devs", qr/denied: ann, delete, team\/x$/, 'the line that decides has no delete');
    is_answer(check($dir, 'ci push team/x:1'), 1, "create: allowed $by:4: ** ci pull,create\noverwrite: denied $by:4: ** ci pull,create\n",
        qr/denied: ci, push, team\/x:1$/, 'a CI may add, but not move');
    is_answer(check($dir, 'ann pull team/secret/x'), 1, "pull: denied $by:2: team/secret/**   *          none\n", qr/denied/, 'the first line decides');
    is_answer(check($dir, 'bob admin bob/x'), 0, "admin: allowed $by:5: {user}/** {user} all\n", qr/^$/, 'a namespace of one\'s own');
    is_answer(check($dir, 'anonymous pull public/x'), 0, "pull: allowed $by:6: public/** anonymous pull\n", qr/^$/, 'anonymous clients');
    is_answer(check($dir, 'bob pull public/x'), 0, "pull: allowed $by:6: public/** anonymous pull\n", qr/^$/, 'what they may, users may');
    is_answer(check($dir, 'anonymous pull team/x'), 1, "pull: denied: no line matches\n", qr/denied: anonymous, pull, team\/x$/, 'no line');
    is_answer(check($dir, 'zoe pull team/x'), 1, "pull: denied: no line matches\n", qr/warning: there is no user zoe in \Q$dir\E\/\w+\/htpasswd\n/, 'an unknown user');
    my $list = "auth/access:2\tnone\tteam/secret/**   *          none\n" . "auth/access:3\tpull,create,overwrite\tteam/**\t\@devs   pull,push\n"
        . "auth/access:5\tpull,create,overwrite,delete,admin\t{user}/** {user} all\n" . "auth/access:6\tpull\tpublic/** anonymous pull\n";
    is_answer(access($dir, 'list', 'ann'), 0, $list, qr/^$/, 'the lines for a user');
    is_answer(access($dir, 'list', 'anonymous'), 0, "auth/access:6\tpull\tpublic/** anonymous pull\n", qr/^$/, '... and for others');
    my @all = split /^/, $list;
    splice @all, 2, 0, "auth/access:4\tpull,create\t** ci pull,create\n";
    is_answer(access($dir, 'list'), 0, join('', @all), qr/^$/, 'all lines, if no user is named');
    return;
}

my $dir = tempdir() . '/data';
for my $name (qw(ann bob ci)) {
    my $added = Registry->try([ 'user', 'add', $name, '--dir', $dir ], stdin => "secret\n");
    is($added->{exit}, 0, "$name is added") or diag($added->{err});
}

subtest 'without rules' => sub {
    is_answer(check($dir, 'ann delete x'), 0, "delete: allowed: there are no access rules: each user may do everything\n", qr/^$/, 'users may');
    is_answer(check($dir, 'anonymous pull x'), 1, "pull: denied: there are no access rules: only users may do anything\n", qr/denied/, 'others may not');
    is_answer(check($dir, 'anonymous pull x', '--anonymous-pull'), 0, "pull: allowed: --anonymous-pull\n", qr/^$/, '... unless they are let');
    is_answer(check($dir, 'anonymous push x', '--anonymous-pull'), 1,
        join('', map { "$_: denied: there are no access rules: only users may do anything\n" } qw(create overwrite)), qr/denied/, '... which is no push');
    is_answer(access($dir, 'list', 'ann'), 0, '', qr/no access rules: each user may do everything$/, 'a list has no lines');
    is_answer(access($dir, 'list', 'anonymous'), 0, '', qr/no access rules: clients without a user may do nothing$/, '... for others either');
    is_answer(access($dir, 'list'), 0, '', qr/^docker-registry-server: there are no access rules: each user may do everything, and clients without a user may do nothing$/, '... nor without a user');
    is_answer(access($dir, 'list', '--anonymous-pull'), 0, '', qr/clients without a user may pull \(--anonymous-pull\)$/, '... with --anonymous-pull');
    my $registry = Registry->start;
    mkdir $registry->dir . '/auth';
    is_answer(check($registry->dir, 'anonymous admin x'), 0, "admin: allowed: there are no users: everybody may do everything\n", qr/^$/, 'an open registry');
    is_answer(access($registry->dir, 'list'), 0, '', qr/there are no users: everybody may do everything$/, '... a list says so');
};

subtest 'with rules, without a server' => sub {
    write_rules($dir, $rules);
    answers($dir);
    my $json = decode_json(check($dir, 'ci push team/x:1', '--json')->{out});
    is_deeply(
        $json,
        {   user       => 'ci',
            repository => 'team/x',
            tag        => '1',
            allowed    => JSON::PP::false,
            answers    => [
                { right => 'create', allowed => JSON::PP::true, file => 'auth/access', line => 4, rule => '** ci pull,create' },
                { right => 'overwrite', allowed => JSON::PP::false, file => 'auth/access', line => 4, rule => '** ci pull,create' },
            ],
        },
        'the same as JSON'
    );
    is_deeply(decode_json(check($dir, 'zoe pull x', '--json')->{out})->{answers}, [ { right => 'pull', allowed => JSON::PP::false, why => 'no line matches' } ], '... without a line');
    is_deeply(decode_json(access($dir, 'list', 'ci', '--json')->{out})->[1], { file => 'auth/access', line => 4, rule => '** ci pull,create', rights => [ 'pull', 'create' ] }, '... a list');
    is_deeply([ map { $_->{line} } @{ decode_json(access($dir, 'list', '--json')->{out}) } ], [ 2 .. 6 ], '... of all lines');
};

subtest 'with a server' => sub {
    my $registry = Registry->start(dir => $dir, args => [ '--user', 'eve:secret' ]);
    answers($dir);
    is_answer(check($dir, 'eve pull eve/x'), 0, "pull: allowed by auth/access:5: {user}/** {user} all\n", qr/^$/, 'its users of the command line are known');
    $registry->stop;
};

subtest 'another file' => sub {
    my $here = tempdir();
    spew("$here/new", "** zoe,bob pull\n");
    spew("$here/good", "x ann pull\n");
    chmod 0755, $here;
    my $at = sub (@args) { return Registry->try([ 'access', @args, '--dir', $dir ], cwd => $here) };
    is_answer($at->('check', 'ann', 'pull', 'x', '--access', 'good'), 0, "pull: allowed by good:1: x ann pull\n", qr/^$/, 'a relative name');
    is_answer($at->('check', 'ann', 'pull', 'x', "--access=$here/good"), 0, "pull: allowed by $here/good:1: x ann pull\n", qr/^$/, 'an absolute one');
    spew("$here/conf", "access = good\n");
    is($at->('check', 'ann', 'pull', 'x', '--config', 'conf')->{exit}, 0, '... in a configuration file');
    is_answer($at->('list', 'ann', '--access', 'new'), 2, '', qr/^docker-registry-server: new:1: "zoe,bob" is no user: leave out the comma$/, 'errors name the file');
    is_answer($at->('check', 'ann', 'pull', 'x', '--access', 'none'), 2, '', qr/cannot open none: /, 'a file that is named has to be there');
};

subtest 'refused' => sub {
    my %wrong = (
        "** ann pul\n"           => qr/auth\/access:1: "pul" is no verb \(pull, push, create, overwrite, delete, admin, all, none\)$/,
        "\n** \@ops pull\n"      => qr/auth\/access:2: "\@ops": there is no such group in auth\/groups$/,
        "team/[ab] ann pull\n"   => qr/auth\/access:1: "team\/\[ab\]": no repository has a \[ in its name/,
    );
    for my $text (sort keys %wrong) {
        write_rules($dir, $text);
        is_answer(access($dir, 'list', 'ann'), 2, '', $wrong{$text}, 'an error in the rules');
        is_answer(check($dir, 'ann pull x'), 2, '', $wrong{$text}, '... for a check, too');
    }
    write_rules($dir, $rules);
    spew("$dir/auth/groups", "devs ann\n");
    is_answer(access($dir, 'list', 'ann'), 2, '', qr/auth\/groups:1: no colon/, 'an error in the groups');
    write_rules($dir, "# none\n");
    is_answer(access($dir, 'list'), 0, '', qr{auth/access has no line: nobody may do anything$}, 'rules without a line');
    write_rules($dir, $rules);
    my @usages = ([], ['check'], [ 'check', 'ann', 'pull' ], [ 'check', 'ann', 'pull', 'x', 'y' ], [ 'list', 'ann', 'x' ], [ 'show', 'ann' ]);
    is_answer(access($dir, @$_), 2, '', qr/usage: .*check USER VERB NAME\[:TAG\] \| list \[USER\],/, "access @$_") for @usages;
    is_answer(check($dir, 'ann pul x'),   2, '', qr/pul is no verb/,                  'no verb');
    is_answer(check($dir, 'ann none x'),  2, '', qr/none is no verb/,                 'none is no question');
    is_answer(check($dir, 'ann pull X'),  2, '', qr/X is no NAME or NAME:TAG: a name has a-z/, 'no name');
    is_answer(check($dir, 'a:b pull x'),  2, '', qr/a:b is no user: .*colon/,         'no user');
    my $nowhere = tempdir() . '/none';
    is_answer(check($nowhere, 'ann pull x'), 2, '', qr/no registry in \Q$nowhere\E/, 'no registry');
    ok(!-e $nowhere, '... and none is made');
    unlink "$dir/auth/access";
    symlink '/etc/passwd', "$dir/auth/access";
    is_answer(check($dir, 'ann pull x'), 2, '', qr/auth\/access is a symbolic link: put the file itself there$/, 'no link is followed in the data directory');
    unlink "$dir/auth/access";
    rename "$dir/auth", "$dir/../elsewhere";
    symlink '../elsewhere', "$dir/auth";
    is_answer(check($dir, 'ann pull x'), 2, '', qr/auth/, '... not to another directory either') if is_root();
    unlink "$dir/auth";
    rename "$dir/../elsewhere", "$dir/auth";
};

subtest 'robots that have expired' => sub {
    write_rules($dir, "** * all\n");
    spew("$dir/auth/htpasswd", "old:{SSHA}x:robot,expires=1700000000\nnew:{SSHA}x:robot,expires=99000000000\n");
    is_answer(check($dir, 'old pull x'), 1, "pull: denied: this robot has expired\n", qr/warning: old has expired/, 'may do nothing');
    is_answer(check($dir, 'new pull x'), 0, "pull: allowed by auth/access:1: ** * all\n", qr/^$/, 'others may');
};

subtest 'the examples of the manual' => sub {
    my @lines = manual_examples('config.5', 'ACCESS RULES', 'Examples');
    my @said  = (    # the number of rules, and what they answer
        [ 3, 'ann delete team/a' => 0, 'ci create team/a' => 0, 'ci overwrite team/a' => 1, 'ci pull x' => 0, 'anonymous pull x' => 1 ],
        [ 4, 'ann push team/a' => 0, 'zoe pull team/a' => 1, 'zoe push zoe/a' => 0, 'zoe push ann/a' => 1, 'zoe pull ann/a' => 0, 'team pull team/a' => 1 ],
        [ 4, 'anonymous pull a' => 0, 'anonymous pull internal/a' => 1, 'bob pull internal/a' => 0, 'ann pull internal/a' => 1, 'ann pull a' => 0, 'zoe admin internal/a' => 0 ],
    );
    spew("$dir/auth/groups", "devs: ann\nstaff: bob\n");
    for my $example (@said) {
        my ($n, @questions) = @$example;
        spew("$dir/auth/access", join "\n", splice(@lines, 0, $n), '');
        while (my ($question, $exit) = splice @questions, 0, 2) {
            is(check($dir, $question)->{exit}, $exit, $question);
        }
    }
    is(scalar @lines, 0, 'there are no others');
};
done_testing();
